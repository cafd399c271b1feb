/**
 * Brings a clone up to date, and may then run something in it:
 *
 *   node scripts/bootstrap.js                       install and build what is needed
 *   node scripts/bootstrap.js --run FILE ARGS...    the same, then run FILE in this process
 */
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { say, setUp, TOP } from './setup.js';

const PARENT_POLL_MS = 200;

/**
 * Ends this process as SIGTERM would when its parent has gone: npm and its shell die of a signal
 * without handing it on.
 */
function endWithParent() {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, PARENT_POLL_MS);
  timer.unref();
}

endWithParent();
try {
  await setUp();
} catch (reason) {
  say(reason.message);
  process.exit(1);
}
const [, , option, file = '', ...args] = process.argv;
if (option === '--run') {
  // In this process: a signal that is meant for the program reaches it, not a parent of it.
  const path = join(TOP, file);
  process.argv = [process.execPath, path, ...args];
  await import(pathToFileURL(path).href);
}
