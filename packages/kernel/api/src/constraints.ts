import {
  type DescField,
  type DescFile,
  type DescMessage,
  type DescOneof,
  getOption,
  hasOption,
  type Message,
  type Registry,
} from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { ConfigError, type ConfigProblem, joinPath } from '@dragoman/core';
import { unpackAny } from './any.ts';
import type { ValidateFieldRules } from './gen/index.ts';
import { MAX_PROBLEMS } from './normalise.ts';
import { formatPath, type PathStep } from './path.ts';
import { registry as api, typeNameOf } from './registry.ts';
import { type Check, compileRules, messageRules } from './rules.ts';

type Fields = Record<string, unknown>;

/** Called for every message of a type met on the way, also inside Any. */
export type Visitor = (message: never, checker: ConstraintChecker) => void;

interface FieldPlan {
  readonly name: string;
  readonly get: (message: Fields) => unknown;
  readonly required: boolean;
  readonly check: Check | undefined;
  /** Set when the field holds messages to go into. */
  readonly child: DescMessage | undefined;
  readonly container: 'single' | 'list' | 'map';
}

interface MessagePlan {
  readonly fields: readonly FieldPlan[];
  readonly oneofs: readonly DescOneof[];
}

const plans = new WeakMap<DescMessage, MessagePlan>();

/** The checks of a message type, compiled on first use. */
export function planOf(desc: DescMessage): MessagePlan {
  let plan = plans.get(desc);
  if (plan === undefined) {
    plan = makePlan(desc);
    plans.set(desc, plan);
  }
  return plan;
}

/** The value of an option of `validate.proto`; undefined where it is not set. */
function option(desc: DescMessage | DescField | DescOneof, name: 'rules' | 'required' | 'disabled'): unknown {
  if (desc.proto.options === undefined) return undefined; // most have none: spares the lookup
  const extension = api.getExtension(`validate.${name}`) as never;
  const holder = desc as unknown as DescFile;
  return hasOption(holder, extension) ? getOption(holder, extension) : undefined;
}

function makePlan(desc: DescMessage): MessagePlan {
  if (option(desc, 'disabled') === true) return { fields: [], oneofs: [] };
  const fields: FieldPlan[] = [];
  for (const field of desc.fields) {
    const rules = option(field, 'rules') as ValidateFieldRules | undefined;
    const { required: wanted, skip } = messageRules(rules);
    const required = wanted && field.oneof === undefined; // a oneof that has the field has its value
    const check = rules === undefined ? undefined : compileRules(rules, field);
    const child = skip ? undefined : childOf(field);
    if (required || check !== undefined || child !== undefined) {
      const container = field.fieldKind === 'list' || field.fieldKind === 'map' ? field.fieldKind : 'single';
      fields.push({ name: field.name, get: reader(field), required, check, child, container });
    }
  }
  const oneofs = desc.oneofs.filter((oneof) => option(oneof, 'required') === true);
  return { fields, oneofs };
}

/** The message type to go into; well-known types hold nothing to check, save Any. */
function childOf(field: DescField): DescMessage | undefined {
  const child = field.message;
  if (child === undefined) return undefined;
  if (child.typeName === 'google.protobuf.Any') return child;
  return child.typeName.startsWith('google.protobuf.') ? undefined : child;
}

/** Reads a field; undefined when it is not set and its presence can be seen. */
function reader(field: DescField): (message: Fields) => unknown {
  const { localName } = field;
  if (field.oneof !== undefined) {
    const group = field.oneof.localName;
    return (message) => {
      const set = message[group] as { case?: string; value?: unknown };
      return set.case === localName ? set.value : undefined;
    };
  }
  return (message) => message[localName];
}

export interface CheckOptions {
  registry?: Registry;
  /** What to do about fields that the API does not know (they survive in binary input). Default `ignore`. */
  unknownFields?: 'error' | 'warning' | 'ignore';
  /** By type name. */
  visitors?: ReadonlyMap<string, readonly Visitor[]>;
}

/** Checks the `validate.rules` of a message and of everything in it, also inside Any. */
export class ConstraintChecker {
  readonly problems: ConfigProblem[] = [];
  readonly path: PathStep[] = [];
  readonly registry: Registry;
  /** Messages with fields that the API does not know, when those are looked for. */
  messagesWithUnknownFields = 0;
  readonly #options: CheckOptions;

  constructor(options: CheckOptions = {}) {
    this.registry = options.registry ?? api;
    this.#options = options;
  }

  /** Records a problem at the current path, or at `path` relative to it. */
  report(message: string, path = '', suggestion?: string, severity?: 'warning'): void {
    if (this.problems.length >= MAX_PROBLEMS) return;
    const problem: ConfigProblem = { path: joinPath(formatPath(this.path), path), message };
    if (suggestion !== undefined) problem.suggestion = suggestion;
    if (severity !== undefined) problem.severity = severity;
    this.problems.push(problem);
  }

  message(message: Message, desc: DescMessage): void {
    const plan = planOf(desc);
    const visitors = this.#options.visitors?.get(desc.typeName);
    if (visitors !== undefined) for (const visit of visitors) visit(message as never, this);
    if (message.$unknown !== undefined && message.$unknown.length > 0) this.#unknown(message, desc);
    const values = message as unknown as Fields;
    for (const oneof of plan.oneofs) {
      if ((values[oneof.localName] as { case?: string }).case === undefined) {
        const names = oneof.fields.map((field) => field.name).join(', ');
        this.report(oneof.fields.length === 1 ? `${names} must be set` : `one of ${names} must be set`);
      }
    }
    for (const field of plan.fields) {
      const value = field.get(values);
      if (value === undefined) {
        if (field.required) this.report(`${field.name} is required`);
        continue;
      }
      if (field.check === undefined && field.container !== 'single' && isEmpty(value)) continue;
      this.path.push(field.name);
      field.check?.(value, this);
      if (field.child !== undefined) this.#children(field, value);
      this.path.pop();
    }
  }

  #children(field: FieldPlan, value: unknown): void {
    const child = field.child as DescMessage;
    if (field.container === 'single') {
      this.#child(value as Message, child);
    } else if (field.container === 'list') {
      const list = value as Message[];
      for (let i = 0; i < list.length; i++) {
        this.path.push(i);
        this.#child(list[i], child);
        this.path.pop();
      }
    } else {
      const map = value as Record<string, Message>;
      for (const key of Object.keys(map)) {
        this.path.push({ key });
        this.#child(map[key], child);
        this.path.pop();
      }
    }
  }

  #child(message: Message, desc: DescMessage): void {
    if (desc.typeName === 'google.protobuf.Any') this.any(message as Any);
    else this.message(message, desc);
  }

  any(any: Any): void {
    if (any.typeUrl === '') return;
    try {
      const inner = unpackAny(any, this.registry);
      if (inner === undefined) {
        this.report(`unknown type ${typeNameOf(any.typeUrl)}`);
        return;
      }
      const desc = this.registry.getMessage(inner.$typeName);
      if (desc?.typeName === 'google.protobuf.Any') this.any(inner as Any);
      else if (desc !== undefined && !desc.typeName.startsWith('google.protobuf.')) this.message(inner, desc);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.problems) this.report(problem.message, problem.path, problem.suggestion);
    }
  }

  #unknown(message: Message, desc: DescMessage): void {
    const how = this.#options.unknownFields ?? 'ignore';
    if (how === 'ignore') return;
    this.messagesWithUnknownFields++;
    const numbers = [...new Set((message.$unknown ?? []).map((field) => field.no))].join(', ');
    this.report(
      `${desc.typeName} has no field number ${numbers}`,
      '',
      undefined,
      how === 'warning' ? 'warning' : undefined,
    );
  }
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 : Object.keys(value as object).length === 0;
}

/** Problems with a message by the rules of its proto, each with its path. Empty when all is well. */
export function checkConstraints(
  desc: DescMessage,
  message: Message,
  options?: CheckOptions,
): ConfigProblem[] {
  const checker = new ConstraintChecker(options);
  checker.message(message, desc);
  return checker.problems;
}
