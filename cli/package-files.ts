/** Files of the installed package that the command needs, wherever it was started. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The top of the package: above `dist/cli/`, or above `cli/` where a test loads the sources. */
const TOP = ['../../', '../']
  .map((path) => new URL(path, import.meta.url))
  .find((folder) => existsSync(new URL('bin/hlsim.js', folder))) as URL;

/** The path of `bin/hlsim.js`: how this command starts another part of itself. */
export function hlsimScript(): string {
  return fileURLToPath(new URL('bin/hlsim.js', TOP));
}

/** The version in package.json. */
export function hlsimVersion(): string {
  const manifest: { version: string } = JSON.parse(
    readFileSync(new URL('package.json', TOP), 'utf8'),
  );
  return manifest.version;
}
