/** What the documents say about the code, as far as a test can tell. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HEARTBEAT_INTERVAL_MS, HEARTBEAT_TIMEOUT_MS } from '../coordinator/hlcp/messages.ts';
import { HOST_LOST_GRACE_MS, JOB_STOP_GRACE_MS } from '../coordinator/job.ts';
import { RENDEZVOUS_TIMEOUT_MS } from '../coordinator/rendezvous.ts';
import { VERDICT_MS } from '../node/hccl/communicator.ts';
import { SPLIT_TIMEOUT_MS } from '../node/hccl/split.ts';
import { COLLECTIVE_TIMEOUT_MS } from '../node/hccl/timeouts.ts';
import { WORD_MS } from '../node/hccl/wire/wire-rank.ts';
import { REDIAL_MS } from '../node/transport/transport.ts';
import { MAY_IMPORT } from './tidy/rules.ts';
import { projectPaths, TOP } from './tidy/source-files.ts';

const LINES_MAX = { architecture: 200, decision: 40 } as const;

interface Document {
  readonly path: string;
  readonly text: string;
  /** Without code blocks. */
  readonly prose: string;
}

const documents = projectPaths()
  .filter((path) => path.endsWith('.md'))
  .map(readDocument);
const architecture = readDocument('docs/ARCHITECTURE.md');
const decisions = documents
  .filter(({ path }) => path.startsWith('docs/decisions/'))
  .sort((a, b) => a.path.localeCompare(b.path));

function readDocument(path: string): Document {
  const text = readFileSync(join(TOP, path), 'utf8');
  const prose = text.replace(/^```.*?^```$/gms, '').replace(/^ {4}.*$/gm, '');
  return { path, text, prose };
}

/** Anchors of a document's headings, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function whyDead(document: Document, link: string): string | undefined {
  if (/^[a-z]+:/.test(link)) return undefined;
  const [file = '', anchor] = link.split('#');
  const path = file === '' ? document.path : normalize(join(dirname(document.path), file));
  if (!existsSync(join(TOP, path))) return `${document.path}: no file ${path}`;
  if (anchor === undefined) return undefined;
  const known = anchorsOf(readFileSync(join(TOP, path), 'utf8')).includes(anchor);
  return known ? undefined : `${document.path}: no heading ${link}`;
}

describe('every document', () => {
  it('links to files and headings that exist', () => {
    const dead = documents.flatMap((document) =>
      [...document.prose.matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, link = '']) => whyDead(document, link))
        .filter((reason) => reason !== undefined),
    );
    expect(dead).toEqual([]);
  });

  it('names files of the project that exist', () => {
    const top = readdirSync(TOP, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    const missing = documents.flatMap(({ path, prose }) =>
      [...prose.matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|js|json|md|csv\.gz|svg))`/g)]
        .map(([, name = '']) => name)
        .filter((name) => top.includes(name.split('/')[0] ?? ''))
        .filter((name) => !existsSync(join(TOP, name)))
        .map((name) => `${path}: ${name}`),
    );
    expect(missing).toEqual([]);
  });
});

describe('README.md', () => {
  it('shows examples/first-program.js, whole', () => {
    const { text } = readDocument('README.md');
    const blocks = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map((match) => match[1]);
    expect(blocks).toEqual([readFileSync(join(TOP, 'examples/first-program.js'), 'utf8')]);
  });

  it('lists every example in examples/README.md', () => {
    const { text } = readDocument('examples/README.md');
    const programs = readdirSync(join(TOP, 'examples')).filter((name) => name.endsWith('.js'));
    expect(programs.filter((name) => !text.includes(`](${name})`))).toEqual([]);
  });
});

describe('docs/ARCHITECTURE.md', () => {
  it(`has at most ${LINES_MAX.architecture} lines`, () => {
    expect(linesOf(architecture)).toBeLessThanOrEqual(LINES_MAX.architecture);
  });

  it('shows exactly the import table that is enforced', () => {
    const below = Object.keys(MAY_IMPORT).filter((folder) => folder.startsWith('node/'));
    const section = architecture.text.split(/^## /m).find((part) => part.startsWith('4.')) ?? '';
    const rows = [...section.matchAll(/^\| `([^`]+)\/`[^|]*\|(.*)\|$/gm)];
    const shown = rows.map(([, folder = '', cell = '']) => {
      const names = [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
      const folders = names.flatMap((name) =>
        name === 'node/*' ? below : [name.replace(/\/$/, '')],
      );
      return [folder, folders.toSorted()];
    });
    const enforced = Object.entries(MAY_IMPORT).map(([folder, others]) => [
      folder,
      others.toSorted(),
    ]);
    expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(enforced));
  });

  it('gives the constants their values', () => {
    const constants: Readonly<Record<string, number>> = {
      COLLECTIVE_TIMEOUT_MS,
      HEARTBEAT_INTERVAL_MS,
      HEARTBEAT_TIMEOUT_MS,
      HOST_LOST_GRACE_MS,
      JOB_STOP_GRACE_MS,
      REDIAL_MS,
      RENDEZVOUS_TIMEOUT_MS,
      VERDICT_MS,
      SPLIT_TIMEOUT_MS,
      WORD_MS,
    };
    const shown = [...architecture.text.matchAll(/`([A-Z_]+)` \((\d+) ms\)/g)].map(
      ([, name = '', value]) => [name, Number(value)],
    );
    expect(Object.fromEntries(shown)).toEqual(constants);
  });

  it('links every decision', () => {
    const missing = decisions.filter(({ path }) => {
      return !architecture.text.includes(`](${path.replace('docs/', '')})`);
    });
    expect(missing.map(({ path }) => path)).toEqual([]);
  });
});

describe('docs/decisions', () => {
  it('are numbered without gaps, and titled with their number', () => {
    const numbers = decisions.map(({ path, text }) => [
      Number(/\/(\d{4})-/.exec(path)?.[1]),
      Number(/^# (\d+)\. /.exec(text)?.[1]),
    ]);
    expect(numbers).toEqual(decisions.map((_, index) => [index + 1, index + 1]));
  });

  it.each(decisions.map(({ path }) => path))('%s has its four parts and is short', (path) => {
    const document = readDocument(path);
    const parts = [...document.text.matchAll(/^\*\*([^*]+)\.\*\*/gm)].map((match) => match[1]);
    expect(parts).toEqual(['Context', 'Decision', 'Consequence', 'Given up']);
    expect(linesOf(document)).toBeLessThanOrEqual(LINES_MAX.decision);
  });
});

function linesOf({ text }: Document): number {
  return text.trimEnd().split('\n').length;
}
