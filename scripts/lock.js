/** One process at a time, over a file that names the process which holds it. */
import {
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';

const POLL_MS = 100;
/** The holder touches its file this often. */
const TOUCH_MS = 1_000;
/** A file untouched for this long is left over, even if its process number runs: it was given out again. */
const STALE_MS = 60_000;
/** An installation on a slow line may take this long; longer, and something is wrong. */
const WAIT_MS_MAX = 10 * 60 * 1000;

/** Runs `work` while holding the lock. The lock of a process that has died is taken over. */
export async function withLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  const end = Date.now() + WAIT_MS_MAX;
  while (!tryLock(path)) {
    const holder = holderOf(path);
    if (holder !== undefined && isLeftOver(path, holder)) rmSync(path, { force: true });
    else if (Date.now() > end) {
      throw new Error(`Expected process ${holder} to let go of ${path}: end it and try again`);
    } else await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const touching = setInterval(() => utimesSync(path, new Date(), new Date()), TOUCH_MS);
  try {
    return await work();
  } finally {
    clearInterval(touching);
    rmSync(path, { force: true });
  }
}

/** The file appears with its content, or not at all. */
function tryLock(path) {
  const beside = `${path}.${process.pid}`;
  writeFileSync(beside, String(process.pid));
  try {
    linkSync(beside, path);
    return true;
  } catch (reason) {
    if (reason.code === 'EEXIST') return false;
    throw reason;
  } finally {
    rmSync(beside, { force: true });
  }
}

/** `undefined` if the lock is free by now. */
function holderOf(path) {
  try {
    return Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function isLeftOver(path, holder) {
  try {
    process.kill(holder, 0);
  } catch (reason) {
    if (reason.code === 'ESRCH') return true;
  }
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > STALE_MS;
}
