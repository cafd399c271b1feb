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
// Whoever reads the results may go before they end: `hlsim cost ... | head`.
let lost;
process.stdout.on('error', (error) => {
  lost ??= error;
});
const { main } = await import(BUILT.href);
const exitCode = await main(process.argv.slice(2));
await Promise.all([drained(process.stdout), drained(process.stderr)]);
process.exit(exitCode === 0 ? exitCodeOf(lost) : exitCode);

/** As SIGPIPE would have it for a reader that has gone; anything else, a full disk for one, is told. */
function exitCodeOf(error) {
  if (error === undefined) return 0;
  if (error.code === 'EPIPE') return 141;
  process.stderr.write(
    `hlsim: Expected stdout to take the results but found: ${error.message} [HLSIM_CONFIG]\n`,
  );
  return 1;
}

/** Exiting would drop what a pipe's reader has not taken yet. A reader that has gone ends the wait too. */
function drained(stream) {
  return new Promise((resolve) => {
    stream.write('', resolve);
  });
}
