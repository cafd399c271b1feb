/**
 * `cluster.json` in a state directory: the cluster that `hlsim up` started there. It is written
 * before the first daemon starts and after every one, so that `hlsim down` finds all of them whatever
 * became of `up`. Only its owner may read it: it holds the token.
 */
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { environmentVariable } from '../common/environment.ts';
import { HlsimError, messageOf } from '../common/errors.ts';
import { optional } from './flags.ts';
import { isAlive } from './process-identity.ts';
import { text } from './readers.ts';

const identity = z.object({ pid: z.int().positive(), startTime: z.string() });

const clusterRecord = z.object({
  state: z.enum(['starting', 'up']),
  /** The `hlsim up` that starts it: alive only while `starting`. */
  launcher: identity,
  url: z.string().optional(),
  token: z.string(),
  hosts: z.int().positive(),
  devices: z.int().positive(),
  daemons: z.array(z.object({ ...identity.shape, name: z.string(), log: z.string() })),
});
export type ClusterRecord = z.infer<typeof clusterRecord>;

export const stateDirFlag = optional({
  name: 'state-dir',
  value: '<dir>',
  description: "the cluster's records and logs; default ~/.local/state/hlsim",
  reader: text('a directory name'),
});

/** XDG Base Directory Specification 0.8: state that persists, per user. */
export function stateDirectory(given: string | undefined): string {
  if (given !== undefined) return resolve(given);
  const base = environmentVariable('XDG_STATE_HOME') ?? join(homedir(), '.local', 'state');
  return join(base, 'hlsim');
}

/** Names of the daemons, in the record and of their logs. */
export const COORDINATOR_NAME = 'coordinator';
export const hostName = (index: number): string => `host-${index}`;

export class ClusterFile {
  readonly directory: string;
  readonly path: string;

  constructor(directory: string) {
    this.directory = directory;
    this.path = join(directory, 'cluster.json');
  }

  /** Where the daemon of this name logs. */
  logOf(name: string): string {
    return join(this.directory, `${name}.log`);
  }

  /**
   * `undefined` if there is no cluster.
   *
   * @throws HlsimError `HLSIM_CONFIG` if the file is not such a record
   */
  read(): ClusterRecord | undefined {
    if (!existsSync(this.path)) return undefined;
    try {
      return clusterRecord.parse(JSON.parse(readFileSync(this.path, 'utf8')));
    } catch (cause) {
      throw new HlsimError(
        'HLSIM_CONFIG',
        `Expected the record of a cluster in ${this.path} but found: ${messageOf(cause)}; end its processes and remove the file`,
        { cause },
      );
    }
  }

  /**
   * Makes the file, unless there is one: of two `up` at once, one wins.
   *
   * @returns whether it was made
   * @throws HlsimError `HLSIM_CONFIG` if the directory cannot be written
   */
  claim(record: ClusterRecord): boolean {
    const beside = this.#prepare(record);
    try {
      linkSync(beside, this.path);
      return true;
    } catch (reason) {
      if ((reason as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw reason;
    } finally {
      rmSync(beside, { force: true });
    }
  }

  /** Replaces the file; a reader sees the old record or the new one, never half of one. */
  update(record: ClusterRecord): void {
    renameSync(this.#writeBeside(record), this.path);
  }

  /**
   * Removes the record and the logs, and the directory if nothing else is in it. A record that has
   * taken the place of `record` meanwhile stays.
   */
  remove(record: ClusterRecord): void {
    const aside = `${this.path}.${process.pid}.old`;
    try {
      renameSync(this.path, aside);
    } catch (reason) {
      if ((reason as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw reason;
    }
    const found = clusterRecord.parse(JSON.parse(readFileSync(aside, 'utf8')));
    if (isDeepStrictEqual(found.launcher, record.launcher)) {
      for (const log of this.#logs(record)) rmSync(log, { force: true });
    } else {
      linkSync(aside, this.path);
    }
    rmSync(aside);
    this.#removeEmptyDirectory();
  }

  /** Also of a daemon whose launcher was killed between starting and recording it. */
  #logs({ hosts }: ClusterRecord): string[] {
    const names = Array.from({ length: hosts }, (_, index) => hostName(index));
    return [COORDINATOR_NAME, ...names].map((name) => this.logOf(name));
  }

  #removeEmptyDirectory(): void {
    if (existsSync(this.directory) && readdirSync(this.directory).length === 0) {
      rmdirSync(this.directory);
    }
  }

  #prepare(record: ClusterRecord): string {
    try {
      makeDirectory(this.directory);
      return this.#writeBeside(record);
    } catch (cause) {
      throw new HlsimError(
        'HLSIM_CONFIG',
        `Expected a state directory that can be written at ${this.directory} but found: ${messageOf(cause)}; name another with --state-dir`,
        { cause },
      );
    }
  }

  #writeBeside(record: ClusterRecord): string {
    const beside = `${this.path}.${process.pid}`;
    writeFileSync(beside, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
    return beside;
  }
}

/**
 * Makes the directory and those above it. Not with mkdirSync's `recursive`: Node.js 20 tries for ever
 * where a file system such as proc(5) answers ENOENT although the directory above is there.
 */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (reason) {
    if ((reason as NodeJS.ErrnoException).code !== 'EEXIST') throw reason;
  }
}

/** Whether any process of the cluster runs, its launcher included while it starts. */
export function isLive(record: ClusterRecord): boolean {
  const launching = record.state === 'starting' && isAlive(record.launcher);
  return launching || record.daemons.some(isAlive);
}

/** @throws HlsimError `HLSIM_CLUSTER_ABSENT` */
export function readCluster(file: ClusterFile): ClusterRecord {
  const record = file.read();
  if (record !== undefined) return record;
  throw new HlsimError(
    'HLSIM_CLUSTER_ABSENT',
    `Expected a cluster under ${file.directory} but found none: start one with hlsim up --hosts 4`,
  );
}
