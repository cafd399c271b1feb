/**
 * CPU time by source file, from V8's sampling profiler. Time in the engine itself, in Node.js and in
 * packages counts for the file of this project that called them.
 */
import { type Profiler, Session } from 'node:inspector';
import { assert, defined } from '../common/assert.ts';

const SAMPLING_INTERVAL_US = 100;
/** Longer gaps between samples are time in which the thread did not run. */
const GAP_US_MAX = 2 * SAMPLING_INTERVAL_US;

/** Microseconds of CPU by path below the project's root; `''`: nobody's, such as garbage collection. */
export type TimeByFile = ReadonlyMap<string, number>;

export class CpuProfiler {
  readonly #session = new Session();
  readonly #root: string;

  /** `root`: URL of the folder that the paths start from, with a slash at its end. */
  constructor(root: string) {
    this.#root = root;
    this.#session.connect();
  }

  async start(): Promise<void> {
    await this.#post('Profiler.enable');
    await this.#post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL_US });
    await this.#post('Profiler.start');
  }

  async stop(): Promise<TimeByFile> {
    const { profile } = (await this.#post('Profiler.stop')) as Profiler.StopReturnType;
    return timeByFile(profile, this.#root);
  }

  close(): void {
    this.#session.disconnect();
  }

  #post(method: string, argument?: object): Promise<object | undefined> {
    return new Promise((resolve, reject) => {
      this.#session.post(method, argument, (error, result) => {
        if (error === null) resolve(result);
        else reject(error);
      });
    });
  }
}

function timeByFile(profile: Profiler.Profile, root: string): TimeByFile {
  const { nodes, samples = [], timeDeltas = [] } = profile;
  assert(samples.length === timeDeltas.length, 'Expected a time for every sample');
  const owners = ownersOf(nodes, root);
  const times = new Map<string, number>();
  for (const [index, node] of samples.entries()) {
    const file = defined(owners.get(node), 'the node of a sample');
    const time = Math.min(GAP_US_MAX, Math.max(0, timeDeltas[index] ?? 0));
    times.set(file, (times.get(file) ?? 0) + time);
  }
  return times;
}

/** By node: the file of the project that its time counts for. */
function ownersOf(nodes: readonly Profiler.ProfileNode[], root: string): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const owners = new Map<number, string>();
  const pending: { readonly id: number; readonly caller: string }[] = [];
  if (nodes[0] !== undefined) pending.push({ id: nodes[0].id, caller: '' });
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { callFrame, children = [] } = defined(byId.get(next.id), 'a node');
    const owner = ownFile(callFrame.url, root) ?? next.caller;
    owners.set(next.id, owner);
    for (const id of children) pending.push({ id, caller: owner });
  }
  return owners;
}

/** `undefined`: the caller's, as `common/` is too: it does what its callers are there for. */
function ownFile(url: string, root: string): string | undefined {
  if (!url.startsWith(root) || url.includes('/node_modules/')) return undefined;
  const path = url.slice(root.length);
  return path.startsWith('common/') ? undefined : path;
}
