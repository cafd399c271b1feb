/** Topology files, YAML, with the line of whatever is wrong. Built-in ones are read by the same code. */
import { type Document, isNode, LineCounter, parseDocument } from 'yaml';
import { MiB } from '../../common/bytes.ts';
import { HlsimError } from '../../common/errors.ts';
import { type TopologyFile, topologySchema } from './file.ts';
import { checkReferences, type Path } from './references.ts';

/** Far more than a file of `LINKS_MAX` links needs. */
export const TOPOLOGY_FILE_BYTES_MAX = 4 * MiB;
const SHOWN_LENGTH_MAX = 60;

/**
 * Reads a topology (JSON is YAML too). `fileName` is for messages alone.
 *
 * @throws HlsimError `HLSIM_TOPOLOGY_UNREADABLE` for the first thing that is wrong, with its line
 */
export function readTopology(text: string, fileName: string): TopologyFile {
  if (text.length > TOPOLOGY_FILE_BYTES_MAX) {
    throw unreadable(
      `Expected a topology of at most ${TOPOLOGY_FILE_BYTES_MAX} bytes in ${fileName} but found ${text.length}`,
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line } = lines.linePos(error.pos[0]);
    throw unreadable(
      `Expected a topology in YAML in ${fileName} but found an error in line ${line}: ${error.message}`,
      { fields: { line } },
    );
  }
  const refuse = (path: Path, problem: string): never => {
    const line = lineOf(document, lines, path);
    throw unreadable(
      `Expected ${where(path)} of ${fileName} ${problem}${line === undefined ? '' : ` (line ${line})`}`,
      { fields: { path: path.join('.'), ...(line === undefined ? {} : { line }) } },
    );
  };
  const data = plainData(document, fileName);
  const parsed = topologySchema.safeParse(data);
  if (!parsed.success) return refuseIssue(parsed.error.issues[0], data, refuse);
  checkReferences(parsed.data, refuse);
  return parsed.data;
}

interface Issue {
  readonly code?: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

function refuseIssue(
  issue: Issue | undefined,
  data: unknown,
  refuse: (path: Path, problem: string) => never,
): never {
  const path = (issue?.path ?? []).map((part) => (typeof part === 'symbol' ? '' : part));
  const stranger = strangerOf(issue);
  if (stranger !== undefined) {
    return refuse([...path, stranger], 'not to be there: there is no such field');
  }
  const name = issue?.code === 'invalid_key' ? JSON.stringify(path.at(-1)) : undefined;
  const expected = keyIssue(issue) ?? issue?.message ?? 'something else';
  return refuse(path, `to be ${expected} but found ${name ?? shown(valueAt(data, path))}`);
}

function strangerOf(issue: Issue | undefined): string | undefined {
  if (issue === undefined || issue.code !== 'unrecognized_keys') return undefined;
  const { keys } = issue as Issue & { readonly keys?: readonly string[] };
  return keys?.[0];
}

/** What a name that is a key was expected to be. */
function keyIssue(issue: Issue | undefined): string | undefined {
  if (issue === undefined || issue.code !== 'invalid_key') return undefined;
  const { issues } = issue as Issue & { readonly issues?: readonly Issue[] };
  return issues?.[0]?.message;
}

function valueAt(data: unknown, path: Path): unknown {
  let value = data;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part))
      return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= SHOWN_LENGTH_MAX ? text : `${text.slice(0, SHOWN_LENGTH_MAX - 3)}...`;
}

/** `rate in link 3 in box kind hls2`, lists counted from 1. */
function where(path: Path): string {
  if (path.length === 0) return 'the whole';
  return path.map((part) => (typeof part === 'number' ? part + 1 : part)).join(' > ');
}

/** Of the value, or of the nearest thing around it that is there. */
function lineOf(document: Document, lines: LineCounter, path: Path): number | undefined {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    const start = isNode(node) ? node.range?.[0] : undefined;
    if (start !== undefined) return lines.linePos(start).line;
  }
  return undefined;
}

/** Aliases that multiply without end are refused by the package. */
function plainData(document: Document, fileName: string): unknown {
  try {
    return document.toJS();
  } catch (cause) {
    throw unreadable(
      `Expected a topology without many aliases in ${fileName} but found: ${String(cause)}`,
      { cause },
    );
  }
}

function unreadable(
  message: string,
  options: { readonly cause?: unknown; readonly fields?: Readonly<Record<string, unknown>> } = {},
): HlsimError {
  return new HlsimError('HLSIM_TOPOLOGY_UNREADABLE', message, options);
}
