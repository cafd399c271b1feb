/**
 * Every file of `testdata/` is a transcript (the commands are in `transcript.ts`). After a wanted change
 * of behaviour `npx vitest run test/coordinator/transcripts.test.ts -u` rewrites the outputs; only
 * commit the changes if you understand what caused each of them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Transcript } from './transcript.ts';

const directory = new URL('./testdata/', import.meta.url);
const files = readdirSync(directory).filter((name) => name.endsWith('.txt'));

/** Blocks are separated by empty lines; comments (`#`) stand above the command. */
function rerun(text: string): string {
  const transcript = new Transcript();
  return text
    .trim()
    .split(/\n\n+/)
    .map((block) => {
      const head = (block.split('\n----')[0] ?? '').trim();
      const command = head
        .split('\n')
        .filter((line) => !line.startsWith('#'))
        .join(' ');
      return command === '' ? `${head}\n` : `${head}\n----\n${transcript.run(command)}\n`;
    })
    .join('\n');
}

describe('transcripts of the coordinator', () => {
  it('are there', () => {
    expect(files.length).toBeGreaterThanOrEqual(13);
  });

  it.each(files)('%s', async (name) => {
    const file = new URL(name, directory);
    const text = readFileSync(file, 'utf8');
    await expect(rerun(text)).toMatchFileSnapshot(file.pathname);
  });
});
