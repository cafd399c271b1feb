/**
 * A slow simulator of the flow model, written for comparison alone: objects, all pairs, and from each moment to
 * the next by looking at everything.
 */
import { chunkTable, splitEvenly } from '../../../collectives/chunks.ts';
import { memoryMap } from '../../../collectives/memory.ts';
import { type Program, placeOf, readsOf, type Step } from '../../../collectives/program.ts';
import type { Place } from '../../../collectives/schedule.ts';
import type { Network, Segment } from '../../../timing/network.ts';
import type { Execution } from '../../../timing/prediction.ts';

interface Message {
  readonly task: Task;
  readonly bytes: number;
  /** Segment that it is on or waits for. */
  segment: number;
  /** When it is, or was, where the segment begins; after the last one, where it is taken. */
  there: number;
  remaining: number;
  rate: number;
  state: 'waiting' | 'flowing' | 'travelling' | 'arrived';
}

interface Wire {
  readonly route: readonly Segment[];
  /** Messages by number, as they are made. */
  readonly made: (Message | undefined)[];
  readonly taken: boolean[];
  /** Those that have got their turn. */
  readonly sent: Message[];
}

interface Task {
  readonly rank: number;
  /** What it needs beside the links. */
  readonly unit: Unit | undefined;
  readonly order: number;
  readonly step: Step;
  readonly slice: number;
  readonly bytes: number;
  readonly needsDone: Task[];
  readonly needsLeft: Task[];
  readonly incoming?: { readonly wire: Wire; readonly number: number };
  readonly outgoing?: { readonly wire: Wire; readonly number: number };
  state: 'idle' | 'issuing' | 'queued' | 'working' | 'done';
  /** When the state ends, or for `queued` began. */
  until: number;
  hasLeft: boolean;
}

type Unit = 'reduce' | 'copy';

export interface ReferenceRequest {
  readonly programs: readonly Program[];
  readonly counts: number;
  readonly bytesPerElement: number;
  readonly network: Network;
  readonly execution: Execution;
}

/** Seconds; `undefined` if it gets stuck. */
export function referenceSeconds(request: ReferenceRequest): number | undefined {
  const { network, execution } = request;
  const wires = new Map<string, Wire>();
  const tasks = request.programs.flatMap((program) => tasksOf(program, request, wires));
  const all = [...wires.values()];
  const queues = queuesOf(tasks);
  let now = 0;
  /** Those that are not done. */
  let open = tasks;
  for (;;) {
    while (move(open, queues, all, network, execution, now)) {}
    open = open.filter(({ state }) => state !== 'done');
    share(all, network);
    const next = nextTime(open, all, now);
    if (next === Number.POSITIVE_INFINITY) break;
    for (const message of flowing(all)) {
      const ends = now + message.remaining / message.rate;
      message.remaining = ends <= next ? 0 : message.remaining - message.rate * (next - now);
    }
    now = next;
  }
  return tasks.every(({ state }) => state === 'done') ? now : undefined;
}

function tasksOf(program: Program, request: ReferenceRequest, wires: Map<string, Wire>): Task[] {
  const table = chunkTable(program, request.counts);
  const numbers = new Map<Wire, { sent: number; received: number }>();
  const wireFor = (src: number, dst: number, lane: number): Wire => {
    const key = `${src} ${dst} ${lane}`;
    const known = wires.get(key);
    if (known !== undefined) return known;
    const wire: Wire = { route: request.network.route(src, dst), made: [], taken: [], sent: [] };
    wires.set(key, wire);
    return wire;
  };
  const count = (wire: Wire, what: 'sent' | 'received'): number => {
    const counted = numbers.get(wire) ?? { sent: 0, received: 0 };
    numbers.set(wire, counted);
    return counted[what]++;
  };
  let order = 0;
  const channels = program.channels.map(({ steps, lane }) =>
    steps.map((step) => {
      const elements = table.range(program.rank, placeOf(step), step.count).length;
      const perSlice = Math.floor(request.execution.sliceBytes / request.bytesPerElement);
      const slices = splitEvenly(
        elements,
        Math.max(1, Math.ceil(elements / Math.max(1, perSlice))),
      );
      const own = order++;
      return slices.map((size, slice): Task => {
        const { rank } = program;
        const from = step.recvFrom === undefined ? undefined : wireFor(step.recvFrom, rank, lane);
        const to = step.sendTo === undefined ? undefined : wireFor(rank, step.sendTo, lane);
        return {
          rank,
          unit: unitOf(step),
          order: own,
          step,
          slice,
          bytes: size * request.bytesPerElement,
          needsDone: [],
          needsLeft: [],
          ...(from === undefined
            ? {}
            : { incoming: { wire: from, number: count(from, 'received') } }),
          ...(to === undefined ? {} : { outgoing: { wire: to, number: count(to, 'sent') } }),
          state: 'idle',
          until: 0,
          hasLeft: step.sendTo === undefined,
        };
      });
    }),
  );
  for (const steps of channels) orderByPlaces(program, steps);
  orderByDepends(program, channels);
  return channels.flat(2);
}

/** Every pair of steps of a channel that touch a common place, one of them writing. */
function orderByPlaces(program: Program, steps: readonly (readonly Task[])[]): void {
  const { locate } = memoryMap(program, program.rank, false);
  for (const [index, later] of steps.entries()) {
    for (const earlier of steps.slice(0, index)) {
      const [a, b] = [earlier[0]?.step, later[0]?.step];
      if (a === undefined || b === undefined) continue;
      const common = (one?: Place, other?: Place): [number, number] | undefined => {
        if (one === undefined || other === undefined) return undefined;
        const [x, y] = [locate(one), locate(other)];
        return x < y + b.count && y < x + a.count ? [x, y] : undefined;
      };
      const conflicts = [
        ...readsOf(b).map((place) => common(a.dst, place)),
        ...readsOf(a).map((place) => common(place, b.dst)),
        common(a.dst, b.dst),
      ].filter((pair) => pair !== undefined);
      if (conflicts.length === 0) continue;
      const isSame = conflicts.every(([x, y]) => x === y) && a.count === b.count;
      const isSent = a.kind === 'send' ? common(a.src, b.dst) : common(a.dst, b.dst);
      const field = a.sendTo !== undefined && isSent !== undefined ? 'needsLeft' : 'needsDone';
      const bySlice = isSame && earlier.length === later.length;
      for (const task of later)
        task[field].push(...(bySlice ? earlier.slice(task.slice, task.slice + 1) : earlier));
    }
  }
}

function orderByDepends({ channels: own }: Program, channels: readonly Task[][][]): void {
  for (const [index, { steps }] of own.entries()) {
    const awaited: Task[] = [];
    for (const [number, { depends }] of steps.entries()) {
      for (const { channel, step } of depends) {
        awaited.push(...(channels[channel] ?? []).slice(0, step + 1).flat());
      }
      for (const task of channels[index]?.[number] ?? []) {
        task.needsDone.push(...awaited);
        task.needsLeft.push(...awaited);
      }
    }
  }
}

interface Queue {
  readonly rank: number;
  readonly unit: Unit;
  /** All that ever stands in it. */
  readonly tasks: readonly Task[];
}

function queuesOf(tasks: readonly Task[]): Queue[] {
  const ranks = [...new Set(tasks.map(({ rank }) => rank))];
  return ranks.flatMap((rank) =>
    (['reduce', 'copy'] as const).map((unit) => ({
      ...{ rank, unit },
      tasks: tasks.filter((task) => task.rank === rank && task.unit === unit),
    })),
  );
}

/** Does what can be done now; tells whether there was anything. */
function move(
  tasks: readonly Task[],
  queues: readonly Queue[],
  wires: readonly Wire[],
  network: Network,
  execution: Execution,
  now: number,
): boolean {
  let moved = false;
  for (const task of tasks) moved = moveTask(task, network, now) || moved;
  for (const queue of queues) moved = serve(queue, network, now) || moved;
  for (const wire of wires) moved = moveWire(wire, network, execution, now) || moved;
  return moved;
}

function moveTask(task: Task, network: Network, now: number): boolean {
  const { incoming } = task;
  switch (task.state) {
    case 'idle': {
      const message = incoming?.wire.made[incoming.number];
      if (incoming !== undefined && message?.state !== 'arrived') return false;
      if (!task.needsDone.every(({ state }) => state === 'done')) return false;
      if (!task.needsLeft.every(({ hasLeft }) => hasLeft)) return false;
      task.state = 'issuing';
      task.until = now + network.card(task.rank).issueSeconds;
      return true;
    }
    case 'issuing':
      if (task.until > now) return false;
      if (task.unit !== undefined && task.bytes > 0) task.state = 'queued';
      else finish(task);
      return true;
    case 'working':
      if (task.until > now) return false;
      finish(task);
      return true;
    default:
      return false;
  }
}

function unitOf({ kind }: Step): Unit | undefined {
  if (kind === 'copy') return 'copy';
  return /reduce/i.test(kind) ? 'reduce' : undefined;
}

function finish(task: Task): void {
  task.state = 'done';
  if (task.incoming !== undefined) task.incoming.wire.taken[task.incoming.number] = true;
  if (task.outgoing === undefined) return;
  const { wire, number } = task.outgoing;
  const { bytes } = task;
  wire.made[number] = {
    task,
    bytes,
    segment: 0,
    there: 0,
    remaining: bytes,
    rate: 0,
    state: 'waiting',
  };
}

function serve({ rank, unit, tasks }: Queue, network: Network, now: number): boolean {
  if (tasks.some(({ state }) => state === 'working')) return false;
  const [first] = tasks
    .filter(({ state }) => state === 'queued')
    .sort((a, b) => a.until - b.until || a.order - b.order || a.slice - b.slice);
  if (first === undefined) return false;
  const { reduceBytesPerSecond, copyBytesPerSecond } = network.card(rank);
  first.state = 'working';
  first.until = now + first.bytes / (unit === 'copy' ? copyBytesPerSecond : reduceBytesPerSecond);
  return true;
}

function moveWire(wire: Wire, network: Network, execution: Execution, now: number): boolean {
  let moved = false;
  for (;;) {
    const number = wire.sent.length;
    const next = wire.made[number];
    const slot = number - execution.slotsPerConnection;
    if (next === undefined || (slot >= 0 && wire.taken[slot] !== true)) break;
    next.there = now;
    wire.sent.push(next);
    moved = true;
  }
  for (const [index, message] of wire.sent.entries()) {
    const before = wire.sent[index - 1];
    moved = moveMessage(message, before, wire.route, network, now) || moved;
  }
  return moved;
}

function moveMessage(
  message: Message,
  before: Message | undefined,
  route: readonly Segment[],
  network: Network,
  now: number,
): boolean {
  const { state, segment } = message;
  if (state === 'waiting') {
    const isClear =
      before === undefined ||
      before.segment > segment ||
      before.state === 'arrived' ||
      (before.segment === segment && before.state === 'travelling');
    if (!isClear) return false;
    message.state = 'flowing';
    message.remaining = message.bytes;
    return true;
  }
  if (state === 'flowing' && message.remaining === 0) {
    const links = route[segment]?.links ?? [];
    message.state = 'travelling';
    message.there = now + links.reduce((sum, link) => sum + network.link(link).latencySeconds, 0);
    if (segment === 0) message.task.hasLeft = true;
    return true;
  }
  if (state === 'travelling' && message.there <= now) {
    if (segment + 1 < route.length) {
      message.segment++;
      message.state = 'waiting';
    } else message.state = 'arrived';
    return true;
  }
  return false;
}

function flowing(wires: readonly Wire[]): Message[] {
  return wires.flatMap(({ sent }) => sent.filter(({ state }) => state === 'flowing'));
}

/** Max-min fair: again and again the link that has least for each of those without a rate. */
function share(wires: readonly Wire[], network: Network): void {
  const open = new Map<Message, readonly number[]>();
  for (const { sent, route } of wires) {
    for (const message of sent) {
      if (message.state === 'flowing') open.set(message, route[message.segment]?.links ?? []);
    }
  }
  const left = new Map<number, number>();
  for (const links of open.values()) {
    for (const link of links) left.set(link, network.link(link).bytesPerSecond);
  }
  while (open.size > 0) {
    let [tightest, least] = [-1, Number.POSITIVE_INFINITY];
    for (const [link, rate] of left) {
      const users = [...open.values()].filter((links) => links.includes(link)).length;
      if (users > 0 && rate / users < least) [tightest, least] = [link, rate / users];
    }
    for (const [message, links] of [...open]) {
      if (!links.includes(tightest)) continue;
      message.rate = least;
      open.delete(message);
      for (const link of links) left.set(link, (left.get(link) ?? 0) - least);
    }
  }
}

function nextTime(tasks: readonly Task[], wires: readonly Wire[], now: number): number {
  let next = Number.POSITIVE_INFINITY;
  for (const { state, until } of tasks) {
    if (state === 'issuing' || state === 'working') next = Math.min(next, until);
  }
  for (const { sent } of wires) {
    for (const { state, there, remaining, rate } of sent) {
      if (state === 'travelling') next = Math.min(next, there);
      if (state === 'flowing') next = Math.min(next, now + remaining / rate);
    }
  }
  return next;
}
