/** The project's files as the tidy test sees them: their text, and what each refers to. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

export const TOP = fileURLToPath(new URL('../../', import.meta.url));

export interface SourceFile {
  /** From the top, with forward slashes: `node/verbs/qp.ts`. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

export interface Reference {
  readonly from: SourceFile;
  /** As written. */
  readonly specifier: string;
  /** The file from the top, for a relative specifier. */
  readonly target: string | undefined;
  readonly kind: 'import' | 'named';
}

/** Everything that is, or would be, committed. */
export function projectPaths(): readonly string[] {
  const options = { cwd: TOP, encoding: 'utf8' } as const;
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], options);
  return listed.split('\0').filter((path) => path !== '' && existsSync(join(TOP, path)));
}

export function readSource(path: string): SourceFile {
  const text = readFileSync(join(TOP, path), 'utf8');
  return { path, text, lines: text.split('\n') };
}

const CLAUSE = String.raw`(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\}|\w+(?:\s*,\s*\{[^}]*\})?)`;
const STATIC = new RegExp(String.raw`^(?:import|export)\s+(?:${CLAUSE}\s+from\s+)?'([^']+)'`, 'gm');
const DYNAMIC = /\bimport\(\s*'([^']+)'/g;
/** A module named by its built file, for `new URL('./x.js', import.meta.url)`: worker entries. */
const NAMED = /'(\.{1,2}\/[^']+\.js)'/g;

/** What a file imports, and the modules that it names to be loaded elsewhere. */
export function referencesOf(from: SourceFile): Reference[] {
  const find = (pattern: RegExp, kind: Reference['kind']): Reference[] =>
    [...from.text.matchAll(pattern)].map((match) => {
      const specifier = match[1] ?? '';
      const target = specifier.startsWith('.')
        ? sourceOf(normalize(join(dirname(from.path), specifier)))
        : undefined;
      return { from, specifier, target, kind };
    });
  return [...find(STATIC, 'import'), ...find(DYNAMIC, 'import'), ...find(NAMED, 'named')];
}

/** The source of a built file, or the path itself. */
function sourceOf(path: string): string {
  const source = path.replace(/\.js$/, '.ts');
  return existsSync(join(TOP, source)) ? source : path;
}
