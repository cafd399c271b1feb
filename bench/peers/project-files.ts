/** Files of the clone that the benchmarks need: sources that are compiled elsewhere, and the command. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defined } from '../../common/assert.ts';

/** Above `dist/bench/peers/`, or above `bench/peers/` where a test loads the sources. */
const TOP = defined(
  ['../../../', '../../']
    .map((path) => new URL(path, import.meta.url))
    .find((folder) => existsSync(new URL('package.json', folder))),
  'package.json above the benchmarks',
);

/** The path of a file named from the top of the clone. */
export function projectFile(path: string): string {
  return fileURLToPath(new URL(path, TOP));
}

export function projectVersion(): string {
  const manifest: { version: string } = JSON.parse(
    readFileSync(new URL('package.json', TOP), 'utf8'),
  );
  return manifest.version;
}
