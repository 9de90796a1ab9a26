import type { Certificate } from '../certificate/certificate.ts';
import type { NameConstraints, Subtree } from '../certificate/extensions.ts';
import type { GeneralName } from '../certificate/general-name.ts';
import { nameWithin } from '../certificate/name.ts';
import { Tag } from '../der/reader.ts';
import {
  emailWithin,
  hostWithin,
  ipWithin,
  looksLikeHost,
  type Within,
  uriWithin,
} from './constraint-rules.ts';
import { chainFailure, type VerificationFailure } from './failure.ts';
import type { CertificateFailure } from './failure-table.ts';
import { isSelfIssued } from './issuing.ts';

/** More comparisons than this in one certificate are refused, as in BoringSSL. */
const MAX_COMPARISONS = 1 << 20;

const COMMON_NAME = '2.5.4.3';
const EMAIL_ADDRESS = '1.2.840.113549.1.9.1';

/** Every certificate keeps to the constraints of all above it; self-issued authorities are not held to them (RFC 5280, 6.1.3 b). */
export function checkNameConstraints(path: readonly Certificate[]): VerificationFailure | undefined {
  let constrained = false;
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const certificate = path[depth] as Certificate;
    const above = path.slice(depth + 1).flatMap(({ known }) => known.nameConstraints ?? []);
    if (above.length === 0) continue;
    if (depth > 0 && isSelfIssued(certificate)) continue;
    constrained = true;
    for (const constraints of above) {
      const reason = checkOne(certificate, constraints);
      if (reason !== undefined) return chainFailure(reason, depth);
    }
  }
  const leaf = path[0] as Certificate;
  const unnamed = constrained && leaf.known.subjectAltName === undefined;
  return unnamed && commonNames(leaf).some(looksLikeHost)
    ? chainFailure('constraints_without_sans', 0)
    : undefined;
}

function commonNames({ subject }: Certificate): string[] {
  return subject.rdns.flat().flatMap(({ oid, text }) => (oid === COMMON_NAME ? (text ?? '') : []));
}

function checkOne(certificate: Certificate, constraints: NameConstraints): CertificateFailure | undefined {
  const names = namesOf(certificate);
  if (names === undefined) return 'name_syntax';
  const trees = constraints.permitted.length + constraints.excluded.length;
  if (names.length * trees > MAX_COMPARISONS) return 'constraints_too_many';
  for (const name of names) {
    const reason = checkName(name, constraints);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** A name under constraint; mailboxes from a subject are compared without regard to case when it is about exclusion. */
interface Subject {
  readonly name: GeneralName;
  readonly fromSubject: boolean;
}

/** Undefined when the subject has an email address of a type that no address has. */
function namesOf({ subject, known }: Certificate): Subject[] | undefined {
  const names: Subject[] = [];
  const attributes = subject.rdns.flat();
  if (attributes.length > 0) {
    const name: GeneralName = { kind: 'directory', name: subject, bytes: subject.der };
    names.push({ name, fromSubject: true });
  }
  for (const { oid, value, text } of attributes) {
    if (oid !== EMAIL_ADDRESS) continue;
    if (value.tag !== Tag.ia5String || text === undefined) return undefined;
    names.push({
      name: { kind: 'email', text, matchable: true, bytes: value.body },
      fromSubject: true,
    });
  }
  for (const name of known.subjectAltName ?? []) names.push({ name, fromSubject: false });
  return names;
}

function checkName(subject: Subject, constraints: NameConstraints): CertificateFailure | undefined {
  const permitted = constraints.permitted.filter((tree) => isSameKind(tree, subject.name));
  const excluded = constraints.excluded.filter((tree) => isSameKind(tree, subject.name));
  if ([...permitted, ...excluded].some(({ hasBounds }) => hasBounds)) return 'constraint_bounds';
  let allowed = permitted.length === 0;
  for (const { base } of permitted) {
    const within = isWithin(subject.name, base, { excluding: false, anyCase: false });
    if (within === 'inside') allowed = true;
    else if (within !== 'outside') return within;
  }
  if (!allowed) return 'name_not_permitted';
  for (const { base } of excluded) {
    const within = isWithin(subject.name, base, { excluding: true, anyCase: subject.fromSubject });
    if (within === 'inside') return 'name_excluded';
    if (within !== 'outside') return within;
  }
  return undefined;
}

/** Kinds that are not understood keep their tags apart. */
function isSameKind({ base }: Subtree, name: GeneralName): boolean {
  if (base.kind !== name.kind) return false;
  return base.kind !== 'unsupported' || name.kind !== 'unsupported' || base.tag === name.tag;
}

function isWithin(
  name: GeneralName,
  base: GeneralName,
  how: { readonly excluding: boolean; readonly anyCase: boolean },
): Within {
  if (name.kind === 'directory' && base.kind === 'directory')
    return nameWithin(name.name, base.name) ? 'inside' : 'outside';
  const value = name.bytes.toString('latin1');
  const tree = base.bytes.toString('latin1');
  switch (name.kind) {
    case 'dns':
      return hostWithin(value, tree, how.excluding);
    case 'email':
      return emailWithin(value, tree, how.anyCase);
    case 'uri':
      return uriWithin(value, tree);
    case 'ip':
      return ipWithin(name.bytes, base.bytes);
    default:
      return 'constraint_type_unsupported';
  }
}
