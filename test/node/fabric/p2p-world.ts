/**
 * Ranks on hosts of one machine: each host has device memory that lies on files of the operating system, and
 * hands them over by unix sockets. The links are in memory and in virtual time.
 */
import { nanoid } from 'nanoid';
import { expect } from 'vitest';
import { MiB } from '../../../common/bytes.ts';
import { roundUp } from '../../../common/math.ts';
import { DRAM_PAGE_BYTES, Hbm } from '../../../node/device/hbm.ts';
import type { SharedFile } from '../../../node/dmabuf/dma-buf.ts';
import type { FiMr } from '../../../node/fabric/fabric.ts';
import { machineMemory } from '../../../node/machine-memory.ts';
import { HostMemory } from '../../../node/peer-memory.ts';
import type { MachineMemory } from '../../../node/verbs/machine-memory.ts';
import { thisSystem } from '../os/this-system.ts';
import { TestMemory } from '../verbs/world.ts';
import { FabricWorld, type FabricWorldInit, type RankInit } from './world.ts';

const HBM_BYTES = 64 * MiB;
const APERTURE_BYTES = 96 * MiB;

/** A host of the machine, with one device. */
export class MachineHost {
  readonly hbm = new Hbm(HBM_BYTES, APERTURE_BYTES, thisSystem());
  readonly machine: MachineMemory;
  readonly #memory: HostMemory;

  /** `world`: makes the names of its hosts unique. */
  constructor(world: string, nodeId: string) {
    const nameOf = (other: string) => `${world}-${other}`;
    const system = thisSystem();
    const memory = new HostMemory({ system, nodeId: nameOf(nodeId), token: 'secret' });
    this.#memory = memory;
    this.machine = machineMemory({
      system,
      peers: {
        offer: (other, id, file) => memory.offer(nameOf(other), id, file),
        take: (other, id) => memory.take(nameOf(other), id),
      },
      devices: [{ hbm: this.hbm }],
      nextNumber: () => memory.nextNumber(),
    });
  }

  /** Device memory whose dma-buf is so many bytes long, at the start of pages of its own. */
  memory(size: number): TestMemory {
    const { hbm } = this;
    const pages = roundUp(size, DRAM_PAGE_BYTES);
    const offset = hbm.allocate(pages, DRAM_PAGE_BYTES);
    if (typeof offset === 'string') throw new Error(`Expected room in HBM but found ${offset}`);
    let file: SharedFile | undefined;
    const share = (recalled?: () => void) => {
      if (file !== undefined) return file;
      const shared = hbm.share(offset, pages, recalled);
      if (typeof shared !== 'string') file = shared;
      return shared;
    };
    const unshare = () => {
      if (file !== undefined) for (const _part of hbm.unsharing(file));
      file = undefined;
      return undefined;
    };
    const release = () => hbm.free(offset);
    const bytes = hbm.view(offset, size);
    return new TestMemory(size, 4096, { share, unshare, release }, bytes);
  }

  close(): void {
    this.#memory.close();
  }
}

export class P2pWorld extends FabricWorld {
  readonly hosts: readonly MachineHost[];

  /** `asked`: who registers memory waits until the others have windows on it. */
  constructor(nranks: number, init: FabricWorldInit = {}, windows: 'asked' | 'none' = 'asked') {
    const world = nanoid();
    const hosts: MachineHost[] = [];
    const machine = (nodeId: string) => {
      const host = new MachineHost(world, nodeId);
      hosts.push(host);
      return host.machine;
    };
    const rank = (index: number): RankInit => ({
      providers: 'p2p',
      memory: (size) => this.hosts[index]?.memory(size) ?? new TestMemory(size),
      ...(windows === 'asked' && { onRegistered: (mr) => this.#askForWindows(index, mr) }),
      ...init.rank?.(index),
    });
    super(nranks, { ...init, machine, rank });
    this.hosts = hosts;
  }

  /** Nothing of another host is mapped any more. */
  override async close(): Promise<void> {
    await super.close();
    for (const host of this.hosts) host.close();
    expect(this.hosts.map(({ hbm }) => [hbm.importCount, hbm.sharedCount])).toEqual(
      this.hosts.map(() => [0, 0]),
    );
  }

  /** Every other rank that is connected has a window on the region, if there can be one. */
  async #askForWindows(owner: number, mr: FiMr): Promise<void> {
    for (const { endpoint } of this.ranks) {
      endpoint.connection(owner)?.direct?.want(Number(mr.key));
    }
    await this.wait(1);
  }
}
