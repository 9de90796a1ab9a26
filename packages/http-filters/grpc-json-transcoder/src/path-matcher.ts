import { ANY_PATH, ANY_SEGMENT, type PathTemplate } from './path-template.ts';

/** What a request has to look like to be for `target`. */
export interface Registration<T> {
  /** `*` for any. */
  readonly method: string;
  readonly template: PathTemplate;
  readonly target: T;
}

export interface PathMatch<T> {
  readonly target: T;
  /** The path cut at its slashes, as sent, without the verb. */
  readonly segments: readonly string[];
}

/** The targets of one template by method and verb; null where two registrations ask for the same. */
type Targets<T> = Map<string, T | null>;

/** Templates that have a `**` at the same place, told apart by the literals behind it. */
interface DeepEnd<T> {
  readonly suffix: readonly string[];
  readonly targets: Targets<T>;
}

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  any: Node<T> | undefined;
  /** Longest suffix first. */
  readonly deep: DeepEnd<T>[];
  readonly targets: Targets<T>;
}

const ANY_METHOD = '*';

/**
 * Finds what a method and path are for, among all templates. At each segment a literal goes before `*`, and `*` before `**`;
 * a branch that leads to nothing is left again. Of two registrations that ask for the very same, neither is found, as in Envoy.
 */
export class PathMatcher<T> {
  /** What was registered twice: `GET /v1/*`. */
  readonly duplicates: readonly string[];
  private readonly root: Node<T> = newNode();
  private readonly verbs = new Set<string>();
  private readonly takesAnyVerb: boolean;

  /** @param takesAnyVerb `match_unregistered_custom_verb`: what follows the last colon is a verb, whether or not a template has it */
  constructor(registrations: readonly Registration<T>[], takesAnyVerb: boolean) {
    this.takesAnyVerb = takesAnyVerb;
    const duplicates: string[] = [];
    for (const registration of registrations)
      if (!this.register(registration)) duplicates.push(describe(registration));
    this.duplicates = duplicates;
  }

  /** @param path without the query */
  match(method: string, path: string): PathMatch<T> | undefined {
    const verb = this.verbOf(path);
    const segments = cut(verb === '' ? path : path.slice(0, -1 - verb.length));
    const target = this.search(this.root, segments, 0, new Wanted(method, verb));
    return target == null ? undefined : { target, segments };
  }

  private register({ method, template: { segments, verb }, target }: Registration<T>): boolean {
    if (verb !== '') this.verbs.add(verb);
    let node = this.root;
    let targets: Targets<T> | undefined;
    for (const [index, segment] of segments.entries()) {
      if (segment === ANY_PATH) {
        targets = deepTargets(node, segments.slice(index + 1));
        break;
      }
      node = child(node, segment);
    }
    targets ??= node.targets;
    const key = keyOf(method, verb);
    const isNew = !targets.has(key);
    targets.set(key, isNew ? target : null);
    return isNew;
  }

  /** Empty for none, and for an empty one. */
  private verbOf(path: string): string {
    const colon = path.lastIndexOf(':');
    if (colon < 0 || colon < path.lastIndexOf('/')) return '';
    const verb = path.slice(colon + 1);
    return this.takesAnyVerb || this.verbs.has(verb) ? verb : '';
  }

  /** Descends at most as deep as the templates are long. */
  private search(
    node: Node<T>,
    segments: readonly string[],
    at: number,
    wanted: Wanted<T>,
  ): T | null | undefined {
    const segment = segments[at];
    if (segment === undefined) {
      const found = wanted.in(node.targets);
      return found === undefined ? this.searchDeep(node, segments, at, wanted) : found;
    }
    for (const next of [node.literals.get(segment), node.any]) {
      const found = next === undefined ? undefined : this.search(next, segments, at + 1, wanted);
      if (found !== undefined) return found;
    }
    return this.searchDeep(node, segments, at, wanted);
  }

  /** A `**` takes one segment at least, or none at the very end. */
  private searchDeep(
    node: Node<T>,
    segments: readonly string[],
    at: number,
    wanted: Wanted<T>,
  ): T | null | undefined {
    const left = segments.length - at;
    for (const { suffix, targets } of node.deep) {
      if (suffix.length > 0 && suffix.length >= left) continue;
      if (!suffix.every((literal, i) => literal === segments[segments.length - suffix.length + i])) continue;
      const found = wanted.in(targets);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** The method and verb of a request, looked for in many places. */
class Wanted<T> {
  private readonly key: string;
  private readonly anyMethod: string;

  constructor(method: string, verb: string) {
    this.key = keyOf(method, verb);
    this.anyMethod = keyOf(ANY_METHOD, verb);
  }

  in(targets: Targets<T>): T | null | undefined {
    const own = targets.get(this.key);
    return own === undefined ? targets.get(this.anyMethod) : own;
  }
}

/** Methods are tokens: they hold no colon. */
function keyOf(method: string, verb: string): string {
  return `${method}:${verb}`;
}

/** Empty segments at the end do not count, others do. */
function cut(path: string): string[] {
  const segments = path.slice(1).split('/');
  while (segments.at(-1) === '') segments.pop();
  return segments;
}

function newNode<T>(): Node<T> {
  return { literals: new Map(), any: undefined, deep: [], targets: new Map() };
}

function child<T>(node: Node<T>, segment: string): Node<T> {
  if (segment === ANY_SEGMENT) return (node.any ??= newNode());
  const known = node.literals.get(segment);
  if (known !== undefined) return known;
  const made = newNode<T>();
  node.literals.set(segment, made);
  return made;
}

function deepTargets<T>(node: Node<T>, suffix: readonly string[]): Targets<T> {
  const known = node.deep.find((end) => end.suffix.join('/') === suffix.join('/'));
  if (known !== undefined) return known.targets;
  const end: DeepEnd<T> = { suffix, targets: new Map() };
  node.deep.push(end);
  node.deep.sort((a, b) => b.suffix.length - a.suffix.length);
  return end.targets;
}

function describe<T>({ method, template: { segments, verb } }: Registration<T>): string {
  return `${method} /${segments.join('/')}${verb === '' ? '' : `:${verb}`}`;
}
