/** Reads YAML by a schema, with the line of whatever is wrong. */
import { type Document, isNode, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { MiB } from '../../common/bytes.ts';
import { type ErrorCode, HlsimError } from '../../common/errors.ts';

/** Far more than a person writes. */
const TEXT_LENGTH_MAX = MiB;
const SHOWN_LENGTH_MAX = 60;

export type YamlPath = readonly (string | number)[];

export interface YamlText {
  readonly text: string;
  /** For messages: `an experiment`, and the name of the file. */
  readonly what: string;
  readonly fileName: string;
  readonly code: ErrorCode;
}

/** What was read, and how to refuse what the schema cannot see is wrong. */
export interface YamlContent<T> {
  readonly value: T;
  /** `problem` completes `Expected <path> of <file>`. */
  readonly refuse: (path: YamlPath, problem: string) => never;
}

/**
 * The messages of the schema complete `Expected <path> of <file> to be`.
 *
 * @throws HlsimError of the code given, for the first thing that is wrong
 */
export function readYaml<T extends z.ZodType>(
  schema: T,
  { text, what, fileName, code }: YamlText,
): YamlContent<z.output<T>> {
  const fail = (message: string, line?: number): never => {
    const where = line === undefined ? '' : ` (line ${line})`;
    throw new HlsimError(code, `${message}${where}`, {
      fields: line === undefined ? {} : { line },
    });
  };
  if (text.length > TEXT_LENGTH_MAX) {
    fail(
      `Expected ${what} of at most ${TEXT_LENGTH_MAX} characters in ${fileName} but found ${text.length}`,
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = lines.linePos(error.pos[0]);
    fail(`Expected ${what} in YAML in ${fileName} but found: ${oneLine(error.message)}`, line);
  }
  const refuse = (path: YamlPath, problem: string): never =>
    fail(`Expected ${nameOf(path)} of ${fileName} ${problem}`, lineOf(document, lines, path));
  const data = plainData(document, (reason) =>
    fail(`Expected ${what} without many aliases in ${fileName} but found: ${reason}`),
  );
  const parsed = schema.safeParse(data);
  if (parsed.success) return { value: parsed.data, refuse };
  return refuseIssue(parsed.error.issues[0], data, refuse);
}

interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly keys?: readonly string[];
}

function refuseIssue(
  issue: Issue | undefined,
  data: unknown,
  refuse: (path: YamlPath, problem: string) => never,
): never {
  const path = (issue?.path ?? []).map((part) => (typeof part === 'symbol' ? '' : part));
  const [stranger] = issue?.keys ?? [];
  if (stranger !== undefined) {
    return refuse([...path, stranger], 'not to be there: there is no such field');
  }
  return refuse(path, `to be ${issue?.message ?? 'something else'} but found ${shown(data, path)}`);
}

function shown(data: unknown, path: YamlPath): string {
  let value = data;
  for (const part of path) {
    const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, part);
    value = isThere ? Reflect.get(value as object, part) : undefined;
  }
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= SHOWN_LENGTH_MAX ? text : `${text.slice(0, SHOWN_LENGTH_MAX - 3)}...`;
}

/** `cases > 2 > boxes`, lists counted from 1. */
function nameOf(path: YamlPath): string {
  if (path.length === 0) return 'the whole';
  return path.map((part) => (typeof part === 'number' ? part + 1 : part)).join(' > ');
}

/** Of the value, or of the nearest thing around it that is there. */
function lineOf(document: Document, lines: LineCounter, path: YamlPath): number | undefined {
  for (let length = path.length; length >= 0; length--) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    const start = isNode(node) ? node.range?.[0] : undefined;
    if (start !== undefined) return lines.linePos(start).line;
  }
  return undefined;
}

/** Aliases that multiply without end are refused by the package. */
function plainData(document: Document, fail: (reason: string) => never): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    return fail(oneLine(String(cause)));
  }
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ');
}
