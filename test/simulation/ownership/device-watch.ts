/** Tells the shadow model whose access each copy from or into device memory is. */
import type { FrameHeader } from '../../../node/transport/frame.ts';
import type { ProbedRange, ProbeListener } from './memory-probe.ts';
import type { TransportObserver } from './observed-transport.ts';
import { FORGED_BYTES } from './operations/fault-operations.ts';
import type { ShadowDevice } from './shadow-device.ts';
import type { Arriving } from './shadow-model.ts';
import type { World } from './world.ts';

type Side = ProbedRange<ShadowDevice> | ArrayBufferLike | undefined;

export class DeviceWatch implements ProbeListener<ShadowDevice>, TransportObserver {
  readonly #world: World;
  readonly #hostOf = new Map<ShadowDevice, number>();
  #arriving: Arriving | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** The devices' buffers. */
  memories(): ReadonlyMap<ArrayBufferLike, ShadowDevice> {
    const memories = new Map<ArrayBufferLike, ShadowDevice>();
    for (const { index, devices } of this.#world.hosts) {
      for (const device of devices) {
        memories.set(device.bytes.buffer, device);
        this.#hostOf.set(device, index);
      }
    }
    return memories;
  }

  /**
   * A frame's buffer belongs to one process, user and device memory are shared: with a frame on the other
   * side, or while a payload is being stored, it is the NIC; else it is the DMA engine.
   */
  copy(source: Side, target: Side): void {
    const { model } = this.#world;
    const arriving = this.#arriving;
    const byNic = arriving !== undefined || isPrivate(source) || isPrivate(target);
    if (isRange(source)) {
      if (byNic) model.nicReads(source, this.#hostOf.get(source.memory) ?? -1);
      else model.engineTouches(source, 'reads');
      this.#note(byNic ? 'nic reads' : 'engine reads', source);
    }
    if (!isRange(target)) return;
    if (arriving !== undefined) model.nicWrites(target, arriving);
    else if (byNic) model.atomicWrites(target, this.#hostOf.get(target.memory) ?? -1);
    else model.engineTouches(target, 'writes');
    this.#note(byNic ? 'nic writes' : 'engine writes', target);
  }

  zeroing({ memory, start, length }: ProbedRange<ShadowDevice>): 'zero' | 'skip' {
    return memory.isUnwritten(start, length) ? 'skip' : 'zero';
  }

  domainOf(host: number, qpn: number): object | undefined {
    return this.#world.ends.get(`${host}/${qpn}`)?.user.verbs?.pd;
  }

  sending(host: number, header: FrameHeader, payload: readonly Uint8Array[]): void {
    const { hosts, model } = this.#world;
    const pd = this.domainOf(host, header.sourceQpn);
    for (const view of payload) {
      const memory = hosts[host]?.devices.find(({ bytes }) => bytes.buffer === view.buffer);
      if (memory === undefined) continue;
      const range = { memory, start: view.byteOffset, length: view.byteLength };
      model.nicWillRead(range, host, pd, header.type);
    }
  }

  arriving(frame: Arriving | undefined): void {
    this.#arriving = frame;
  }

  frame(host: number, event: 'placed' | 'refused' | 'landed', header: FrameHeader): void {
    const { type, sourceQpn, destQpn, psn } = header;
    if (header.messageLength === FORGED_BYTES && this.#world.ends.has(`${host}/${destQpn}`)) {
      this.#world.findings.check(
        'I43',
        event === 'refused',
        () => `Expected host ${host} to refuse a forged ${type} for queue pair ${destQpn}`,
      );
    }
    this.#world.trace.add(`h${host} ${event} ${type} ${sourceQpn}>${destQpn} psn ${psn}`);
  }

  #note(what: string, { memory, start, length }: ProbedRange<ShadowDevice>): void {
    this.#world.trace.add(`${what} ${memory.name} ${start}+${length}`);
  }
}

function isRange(side: Side): side is ProbedRange<ShadowDevice> {
  return side !== undefined && 'memory' in side;
}

function isPrivate(side: Side): boolean {
  return side instanceof ArrayBuffer;
}
