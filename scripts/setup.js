/**
 * From a fresh clone to something that runs: checks Node.js, installs the locked dependencies if they
 * are missing or not those of the lock file, builds what is not up to date. Plain JavaScript without
 * dependencies, because nothing is installed yet. Two at once wait for each other.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.js';

export const TOP = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_VERSION_MIN = [20, 19];
const DIST = join(TOP, 'dist');
const KERNELS = join(TOP, 'node', 'device', 'kernels');
const KERNELS_BINARY = join(DIST, 'node', 'device', 'kernels', 'kernels.wasm');
/** What the kernels in `dist` were built from. */
const KERNELS_STAMP = join(DIST, '.kernels.sha256');

/** Ends the process with one line if this Node.js is too old. */
export function requireNodeVersion(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin, minorMin] = NODE_VERSION_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  process.stderr.write(
    `hlsim: Expected Node.js ${NODE_VERSION_MIN.join('.')} or newer but found ${version}: install a newer one from https://nodejs.org\n`,
  );
  process.exit(1);
}

/** Installs and builds what is needed; says on stderr what it does. Throws if a step fails. */
export async function setUp() {
  requireNodeVersion();
  await withLock(join(TOP, '.hlsim', 'setup.lock'), async () => {
    if (!isInstalled()) await install();
    await build();
  });
}

/** npm records what it installed in `node_modules/.package-lock.json`. */
function isInstalled() {
  const locked = packagesOf(join(TOP, 'package-lock.json'));
  const installed = packagesOf(join(TOP, 'node_modules', '.package-lock.json'));
  return locked !== undefined && installed !== undefined && matchesLock(locked, installed);
}

/**
 * Whether exactly those packages are installed that the lock file names, by path. Packages for other
 * platforms are in the lock file only.
 */
export function matchesLock(locked, installed) {
  for (const [path, { version, optional }] of Object.entries(locked)) {
    if (path === '') continue;
    const found = installed[path];
    const there = found === undefined ? optional === true : found.version === version;
    if (!there) return false;
  }
  return Object.keys(installed).every((path) => locked[path] !== undefined);
}

function packagesOf(path) {
  if (!existsSync(path)) return undefined;
  return JSON.parse(readFileSync(path, 'utf8')).packages;
}

async function install() {
  say('Installing the locked dependencies (npm ci)');
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    shell: process.platform === 'win32',
  });
}

async function build() {
  removeOrphans();
  const tsc = join(TOP, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(join(DIST, '.tsbuildinfo'))) say('Building');
  await run(process.execPath, [tsc, '-b']);
  await buildKernels();
}

/** The compiler leaves the output of a source file that is gone; then an old test would run. */
function removeOrphans() {
  for (const output of filesUnder(DIST)) {
    const match = /^(.*?)(?:\.d\.ts|\.js|\.js\.map)$/.exec(relative(DIST, output));
    if (match !== null && !existsSync(join(TOP, `${match[1]}.ts`))) {
      rmSync(output);
      // Otherwise the compiler would think that nothing has changed.
      rmSync(join(DIST, '.tsbuildinfo'), { force: true });
    }
  }
}

async function buildKernels() {
  const hash = createHash('sha256');
  for (const file of [...filesUnder(join(KERNELS, 'assembly')), join(KERNELS, 'build.js')]) {
    hash.update(relative(KERNELS, file)).update('\0').update(readFileSync(file));
  }
  const stamp = hash.digest('hex');
  const built = existsSync(KERNELS_STAMP) ? readFileSync(KERNELS_STAMP, 'utf8') : '';
  if (built === stamp && existsSync(KERNELS_BINARY)) return;
  await run(process.execPath, [join(KERNELS, 'build.js')]);
  writeFileSync(KERNELS_STAMP, stamp);
}

/** All files below a directory, in a fixed order; none if it is not there. */
function filesUnder(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true })
    .map((name) => join(directory, String(name)))
    .filter((path) => statSync(path).isFile())
    .sort();
}

/** Runs a program to its end, its output on our stderr. */
function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: TOP, stdio: ['ignore', 2, 2], ...options });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(`${program} ${args.join(' ')} ended with ${signal ?? `exit code ${code}`}`),
        );
    });
  });
}

export function say(text) {
  process.stderr.write(`hlsim: ${text}\n`);
}
