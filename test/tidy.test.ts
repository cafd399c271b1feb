/** Rules about the code itself. What each rule is: `tidy/rules.ts`; why: docs/ARCHITECTURE.md. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../common/errors.ts';
import {
  ASSEMBLY,
  BANNED_EVERYWHERE,
  BANNED_WORDS,
  type BannedWord,
  ENTRY_POINTS,
  LINES_HARD,
  LINES_SOFT,
  MAY_IMPORT,
  PACKAGES,
  PURE_FOLDERS,
  PURE_PACKAGES,
  SOFT_EXCESS,
} from './tidy/rules.ts';
import {
  projectPaths,
  type Reference,
  readSource,
  referencesOf,
  type SourceFile,
  TOP,
} from './tidy/source-files.ts';

const paths = projectPaths();
const typeScript = paths.filter((path) => path.endsWith('.ts')).map(readSource);
const assembly = typeScript.filter(({ path }) => path.startsWith(ASSEMBLY));
const tests = typeScript.filter(({ path }) => path.startsWith('test/'));
/** What is built and shipped. */
const sources = typeScript.filter(
  (file) => folderOf(file.path) !== undefined && !assembly.includes(file),
);
const references = sources.flatMap(referencesOf);
const imports = references.filter(({ kind }) => kind === 'import');

/** The row of the import table that holds for a file. */
function folderOf(path: string): string | undefined {
  return Object.keys(MAY_IMPORT)
    .filter((folder) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)[0];
}

/** Where each banned word stands, as `file:line word, instead ...`. */
function findings(files: readonly SourceFile[], banned: readonly BannedWord[]): string[] {
  return files.flatMap(({ path, lines }) =>
    lines.flatMap((line, index) =>
      banned
        .filter(({ home }) => !home.some((place) => path === place || inFolder(path, place)))
        .filter(({ pattern }) => pattern.test(line))
        .map(({ word, instead }) => `${path}:${index + 1} ${word} is banned here, use ${instead}`),
    ),
  );
}

function inFolder(path: string, place: string): boolean {
  return place.endsWith('/') && path.startsWith(place);
}

/** Without comments: a comment may name what the code must not. */
function codeOnly(file: SourceFile): SourceFile {
  const lines = file.lines.map((line) => line.replace(/^\s*(?:\/\*\*|\*|\/\/).*$/, ''));
  return { ...file, lines };
}

describe('imports', () => {
  it('every file lies in a folder of the import table', () => {
    const known = (path: string) => path.startsWith('test/') || path === 'vitest.config.ts';
    const strays = typeScript.filter(({ path }) => folderOf(path) === undefined && !known(path));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('every relative import names a file that exists, with its ending', () => {
    const dead = [...references, ...tests.flatMap(referencesOf)].filter(
      ({ kind, target }) =>
        kind === 'import' && target !== undefined && !existsSync(join(TOP, target)),
    );
    expect(dead.map(sentence)).toEqual([]);
  });

  it('a folder imports only what the import table allows', () => {
    const wrong = imports.filter(({ from, target }) => {
      if (target === undefined) return false;
      const [here = '', there = ''] = [folderOf(from.path), folderOf(target)];
      return here !== there && !(MAY_IMPORT[here] ?? []).includes(there);
    });
    expect(wrong.map(sentence)).toEqual([]);
  });

  it('a package is imported only where it is at home; a pure folder has no module of the runtime', () => {
    const wrong = imports.filter(({ from, specifier }) => {
      if (specifier.startsWith('.')) return false;
      const folder = folderOf(from.path) ?? '';
      if (specifier.startsWith('node:')) return PURE_FOLDERS.includes(folder);
      const homes = PACKAGES[packageOf(specifier)] ?? [];
      if (PURE_FOLDERS.includes(folder) && !PURE_PACKAGES.includes(specifier)) return true;
      return !homes.some((home) => folder === home || folder.startsWith(`${home}/`));
    });
    expect(wrong.map(sentence)).toEqual([]);
  });

  it('node/verbs never imports node/device, not even through another folder', () => {
    const files = new Map<string, string[]>();
    for (const { from, target } of imports) {
      if (target !== undefined) files.set(from.path, [...(files.get(from.path) ?? []), target]);
    }
    const verbs = [...files.keys()].filter((path) => path.startsWith('node/verbs/'));
    expect(verbs).not.toEqual([]);
    const reached = reachable(verbs, files);
    expect([...reached].filter((path) => path.startsWith('node/device/'))).toEqual([]);
  });

  it('there is no cycle between folders', () => {
    const folders = new Map<string, Set<string>>();
    for (const { from, target } of imports) {
      const [here, there] = [folderOf(from.path), target && folderOf(target)];
      if (here === undefined || there === undefined || here === there) continue;
      folders.set(here, (folders.get(here) ?? new Set()).add(there));
    }
    const onCycle = [...folders.keys()].filter((folder) =>
      reachable(folders.get(folder) ?? [], folders).has(folder),
    );
    expect(onCycle).toEqual([]);
  });
});

describe('words', () => {
  it('no source file uses a banned word', () => {
    expect(findings(sources.map(codeOnly), BANNED_WORDS)).toEqual([]);
  });

  it('no file of the project holds what belongs in none', () => {
    const binary = /\.(?:gz|wasm|png)$/;
    const rules = ['test/tidy/rules.ts', 'package-lock.json'];
    const files = paths.filter((path) => !binary.test(path) && !rules.includes(path));
    expect(findings(files.map(readSource), BANNED_EVERYWHERE)).toEqual([]);
  });
});

describe('files', () => {
  it(`no file is longer than ${LINES_HARD} lines`, () => {
    const long = typeScript.filter(({ lines }) => lines.length > LINES_HARD);
    expect(long.map(({ path, lines }) => `${path}: ${lines.length} lines`)).toEqual([]);
  });

  it(`nine of ten source files have at most ${LINES_SOFT} lines`, () => {
    const long = sources.filter(({ lines }) => lines.length > LINES_SOFT);
    const longPaths = long.map(({ path, lines }) => `${path}: ${lines.length} lines`);
    expect(long.length, longPaths.join('\n')).toBeLessThanOrEqual(sources.length * SOFT_EXCESS);
  });

  it('every source file is used by another one or by a test, or is an entry point', () => {
    const used = new Set(
      [...references, ...tests.flatMap(referencesOf)].map(({ target }) => target),
    );
    const dead = sources.filter(({ path }) => !used.has(path) && !ENTRY_POINTS.includes(path));
    expect(dead.map(({ path }) => path)).toEqual([]);
  });

  it('every top folder of sources is let into the container image', () => {
    const folders = new Set(sources.map(({ path }) => path.split('/')[0]));
    const ignore = readFileSync(join(TOP, '.dockerignore'), 'utf8').split('\n');
    expect([...folders].filter((folder) => !ignore.includes(`!${folder}`))).toEqual([]);
  });

  it('every entry point exists', () => {
    expect(ENTRY_POINTS.filter((path) => !existsSync(join(TOP, path)))).toEqual([]);
  });
});

describe('docs/errors.md', () => {
  const text = readFileSync(join(TOP, 'docs/errors.md'), 'utf8');
  const headings = [...text.matchAll(/^## (.*)$/gm)].map((match) => match[1] ?? '');

  it('has a heading for every error code and no other, in the order of common/errors.ts', () => {
    expect(headings).toEqual(Object.keys(ERROR_CODES));
  });

  it('says of each what it means, its likely cause and what to do', () => {
    const sections = text.split(/^## /m).slice(1);
    const incomplete = sections.filter(
      (section) => !/\*\*Meaning:\*\*.*\*\*Likely cause:\*\*.*\*\*What to do:\*\*/s.test(section),
    );
    expect(incomplete.map((section) => section.split('\n')[0])).toEqual([]);
  });

  it('every error code is thrown or sent somewhere', () => {
    const code = sources.filter(({ path }) => path !== 'common/errors.ts');
    const unused = Object.keys(ERROR_CODES).filter(
      (name) => !code.some(({ text: source }) => source.includes(`'${name}'`)),
    );
    expect(unused).toEqual([]);
  });
});

function sentence({ from, specifier }: Reference): string {
  return `${from.path} imports ${specifier}`;
}

/** `@scope/name/path` -> `@scope/name`, `hlsim/collectives` -> `hlsim`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** All that can be reached from `start`, `start` itself only over a cycle. */
function reachable(
  start: Iterable<string>,
  edges: ReadonlyMap<string, Iterable<string>>,
): ReadonlySet<string> {
  const reached = new Set<string>();
  const waiting = [...start];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    if (reached.has(place)) continue;
    reached.add(place);
    waiting.push(...(edges.get(place) ?? []));
  }
  return reached;
}
