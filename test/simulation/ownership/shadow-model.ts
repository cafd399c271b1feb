/**
 * Judges every access to device memory: may this be read or written, now, by that side? It knows owners,
 * buffers and registrations from the operations of the random program alone, never from the code
 * under test.
 */
import type { FrameHeader, FrameType } from '../../../node/transport/frame.ts';
import type { IbvAccessFlag } from '../../../node/verbs/mr.ts';
import type { Findings } from './findings.ts';
import type { InvariantId } from './invariants.ts';
import type { ProbedRange } from './memory-probe.ts';
import {
  covers,
  type RegionState,
  type ShadowBuffer,
  type ShadowImport,
  type ShadowRegion,
} from './shadow-buffer.ts';
import type { ShadowDevice } from './shadow-device.ts';

/** A frame whose payload is being stored. */
export interface Arriving {
  readonly host: number;
  readonly header: FrameHeader;
  /** Domain of the queue pair that takes it; `undefined` for a frame of nobody the model knows. */
  readonly pd: object | undefined;
}

const MAY_READ: readonly RegionState[] = ['live', 'revoking', 'closing'];
const MAY_START: readonly RegionState[] = ['live', 'revoking'];
const WRITE_RIGHT: Readonly<Partial<Record<FrameType, IbvAccessFlag>>> = {
  WRITE: 'IBV_ACCESS_REMOTE_WRITE',
  WRITE_IMM: 'IBV_ACCESS_REMOTE_WRITE',
};

type Range = ProbedRange<ShadowDevice>;

export class ShadowModel {
  readonly findings: Findings;
  readonly buffers = new Set<ShadowBuffer>();
  readonly imports = new Set<ShadowImport>();
  /** By device. Dead ones stay until the memory has another owner, to name who came too late. */
  readonly #regions = new Map<ShadowDevice, Set<ShadowRegion>>();
  readonly #byKey = new Map<string, ShadowRegion>();
  /** Keys ever given, by host. */
  readonly #keys = new Set<string>();
  /** Accesses judged. */
  accesses = 0;

  constructor(findings: Findings) {
    this.findings = findings;
  }

  addRegion(region: ShadowRegion): void {
    const name = `${region.host}/${region.key}`;
    this.findings.check(
      'I21',
      !this.#keys.has(name),
      () => `Expected key ${region.key} of host ${region.host} to be given once in a run`,
    );
    this.#keys.add(name);
    this.#byKey.set(name, region);
    const known = this.#regions.get(region.buffer.opening.device) ?? new Set();
    known.add(region);
    this.#regions.set(region.buffer.opening.device, known);
    region.buffer.regions.add(region);
  }

  regionsOf(device: ShadowDevice): ReadonlySet<ShadowRegion> {
    return this.#regions.get(device) ?? new Set();
  }

  /** Forgets regions of memory that has another owner now, except those still alive. */
  handedOver(device: ShadowDevice): void {
    const known = this.#regions.get(device);
    for (const region of known ?? []) if (region.state === 'dead') known?.delete(region);
  }

  /** Whose bytes are touched: nobody may touch memory that has been handed to somebody else. */
  #ownerHolds(range: Range, what: string): boolean {
    this.accesses++;
    const device = range.memory;
    const allocation = device.allocationAt(range.start);
    const inside =
      allocation !== undefined &&
      range.start + range.length <= allocation.offset + allocation.bytes;
    return this.findings.check(
      'I4',
      inside,
      () => `Expected ${what} ${text(range)} to stay inside one allocation`,
    );
  }

  /** The NIC stores a payload. */
  nicWrites(range: Range, arriving: Arriving): void {
    const { header, host, pd } = arriving;
    const what = `a ${header.type} frame`;
    if (!this.#ownerHolds(range, what)) return;
    if (this.#isLibrary(range)) return;
    const right = WRITE_RIGHT[header.type];
    if (right !== undefined) this.#named(range, arriving, right);
    else this.#covered(range, host, pd, 'IBV_ACCESS_LOCAL_WRITE', MAY_START, what, 'I1');
  }

  /** The NIC is handed views to send from. */
  nicWillRead(range: Range, host: number, pd: object | undefined, type: FrameType): void {
    const what = `a ${type} frame that is handed to the link`;
    if (!this.#ownerHolds(range, what) || this.#isLibrary(range)) return;
    const right = type === 'READ_RESPONSE' ? 'IBV_ACCESS_REMOTE_READ' : undefined;
    this.#covered(range, host, pd, right, MAY_START, what, 'I4');
  }

  /** The link takes bytes that the NIC has handed to it. */
  nicReads(range: Range, host: number): void {
    const what = 'a frame that the link takes';
    if (!this.#ownerHolds(range, what) || this.#isLibrary(range)) return;
    this.#covered(range, host, undefined, undefined, MAY_READ, what, 'I2');
  }

  /** The NIC stores the result of an atomic: no payload, so that only the region can be asked. */
  atomicWrites(range: Range, host: number): void {
    const what = 'an atomic';
    if (!this.#ownerHolds(range, what) || this.#isLibrary(range)) return;
    const right = 'IBV_ACCESS_REMOTE_ATOMIC';
    this.#covered(range, host, undefined, right, MAY_START, what, 'I1');
  }

  /** The DMA engine or a kernel of the device itself. */
  engineTouches(range: Range, access: 'reads' | 'writes'): void {
    const what = `the DMA engine that ${access}`;
    if (!this.#ownerHolds(range, what)) return;
    const { memory } = range;
    const opening = memory.allocationAt(range.start)?.opening;
    const byOwner = opening !== undefined && opening === memory.current && opening.state === 'open';
    this.findings.check(
      'I7',
      byOwner || this.#isImported(range),
      () =>
        `Expected only the owner of ${memory.name} to use it but ${what} touched ${text(range)}`,
    );
    if (access === 'writes') memory.wrote(range.start, range.length, -1, opening?.number ?? -1);
  }

  /** Another device has the range mapped, and its buffer is still its owner's. */
  #isImported({ memory, start, length }: Range): boolean {
    for (const { buffer, state } of this.imports) {
      const isThere = start >= buffer.offset && start + length <= buffer.offset + buffer.size;
      if (state !== 'dead' && isThere && buffer.opening === memory.current) return true;
    }
    return false;
  }

  #isLibrary(range: Range): boolean {
    const { memory, start } = range;
    const opening = memory.allocationAt(start)?.opening;
    if (opening?.library !== true) return false;
    this.findings.check(
      'I5',
      opening === memory.current,
      () => `Expected no access to ${text(range)} after open ${opening.number} was over`,
    );
    memory.wrote(start, range.length, -1, opening.number);
    return true;
  }

  /** A request that names a key: exactly that region must allow it. */
  #named(range: Range, { host, header, pd }: Arriving, right: IbvAccessFlag): void {
    const region = this.#byKey.get(`${host}/${header.rkey}`);
    const what = `${header.type} under key ${header.rkey} of host ${host}`;
    if (!this.#known(region, what, range)) return;
    this.#owned(region, range, what);
    this.findings.check(
      region.state === 'closing' || region.state === 'dead' ? stateInvariant(region) : 'I4',
      MAY_START.includes(region.state),
      () => `Expected ${what} to be refused: the region is ${region.state} (${text(range)})`,
    );
    const fits = covers(region, range.start, range.length);
    const allowed = region.access.has(right) && (pd === undefined || region.pd === pd);
    this.findings.check(
      'I4',
      fits && allowed,
      () =>
        `Expected ${what} to stay in its region, domain and rights but it wrote ${text(range)} of [${region.start}, +${region.length})`,
    );
    region.buffer.opening.device.wrote(
      range.start,
      range.length,
      this.#writerAt(region, range.start),
      region.buffer.opening.number,
    );
  }

  #known(region: ShadowRegion | undefined, what: string, range: Range): region is ShadowRegion {
    return this.findings.check(
      'I4',
      region !== undefined && region.buffer.opening.device === range.memory,
      () => `Expected ${what} to name a region of ${range.memory.name} but it wrote ${text(range)}`,
    );
  }

  /** Some region of the NIC must allow it. */
  #covered(
    range: Range,
    host: number,
    pd: object | undefined,
    right: IbvAccessFlag | undefined,
    states: readonly RegionState[],
    what: string,
    invariant: InvariantId,
  ): void {
    let late: ShadowRegion | undefined;
    for (const region of this.regionsOf(range.memory)) {
      if (region.host !== host || !covers(region, range.start, range.length)) continue;
      if (pd !== undefined && region.pd !== pd) continue;
      if (right !== undefined && !region.access.has(right)) continue;
      late = region;
      if (!states.includes(region.state)) continue;
      if (!this.#owned(region, range, what)) return;
      this.findings.check(invariant, true, () => '');
      if (right === 'IBV_ACCESS_LOCAL_WRITE') {
        const writer = this.#writerAt(region, range.start);
        range.memory.wrote(range.start, range.length, writer, region.buffer.opening.number);
      }
      return;
    }
    if (late !== undefined) this.#owned(late, range, what);
    const state = late === undefined ? 'unknown' : late.state;
    this.findings.check(
      late === undefined ? 'I4' : invariant,
      false,
      () =>
        `Expected no access by ${what} to ${text(range)} of host ${host}: the region is ${state}`,
    );
  }

  /** The region's buffer must still be its owner's. */
  #owned(region: ShadowRegion, range: Range, what: string): boolean {
    const { opening } = region.buffer;
    const { memory } = range;
    return this.findings.check(
      'I5',
      opening === memory.current,
      () =>
        `Expected ${what} of pid ${region.pid} not to reach ${text(range)}: it registered memory of open ${opening.number}, which now belongs to open ${memory.current?.number ?? 'nobody'} of pid ${memory.current?.pid ?? 'nobody'}`,
    );
  }

  #writerAt(region: ShadowRegion, start: number): number {
    const { buffer } = region;
    return buffer.slots[Math.floor((start - buffer.offset) / 4096)]?.writer ?? 0;
  }
}

function stateInvariant(region: ShadowRegion): InvariantId {
  return region.buffer.state === 'live' ? 'I21' : 'I1';
}

function text({ memory, start, length }: Range): string {
  return `${memory.name} [${start}, +${length})`;
}
