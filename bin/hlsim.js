#!/usr/bin/env node
/**
 * The `hlsim` command. In a fresh clone it builds itself first; an installed package is built already.
 */
import { existsSync } from 'node:fs';
import process from 'node:process';

const BUILT = new URL('../dist/cli/main.js', import.meta.url);
const SETUP = new URL('../scripts/setup.js', import.meta.url);

if (existsSync(SETUP)) {
  const { setUp, requireNodeVersion } = await import(SETUP.href);
  requireNodeVersion();
  if (!existsSync(BUILT)) await setUp();
}
const { main } = await import(BUILT.href);
const exitCode = await main(process.argv.slice(2));
await Promise.all([drained(process.stdout), drained(process.stderr)]);
process.exit(exitCode);

/** Exiting would drop what a pipe's reader has not taken yet. A reader that has gone ends the wait too. */
function drained(stream) {
  return new Promise((resolve) => {
    stream.write('', resolve);
  });
}
