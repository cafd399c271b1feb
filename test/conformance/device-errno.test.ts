/**
 * Every row of the driver's errno tables, brought about through system calls. A row without a scenario does
 * not compile; a scenario that ends in another errno fails.
 */
import { describe, expect, it } from 'vitest';
import {
  type ErrnoRow,
  MEMORY_ERRORS,
  RESET_ERRORS,
  SUBMISSION_ERRORS,
} from '../../node/device/errno-tables.ts';
import * as hlthunk from '../../node/device/hlthunk.ts';
import { hlthunk_wait_for_multi_cs } from '../../node/device/hlthunk-work.ts';
import { CS_IN_FLIGHT_MAX } from '../../node/device/job.ts';
import { OPEN_FILES_MAX } from '../../node/process/file.ts';
import { DeviceBench, errnoOf, passDescriptor } from '../node/device/device-bench.ts';
import { Region } from '../node/device/region.ts';
import { fill, mappedWorld, resetDevice, stall } from './device-world.ts';

const PAGE = 65536;
const PAGE_SIZE = 4096;
type Scenario = () => Promise<string>;
type ScenariosOf<T> = { readonly [K in keyof T]: T[K] extends { never: string } ? null : Scenario };

const MEMORY: ScenariosOf<typeof MEMORY_ERRORS> = {
  async notOperational() {
    const { bench, alloc } = await mappedWorld();
    void bench.device().driver.hardReset('test');
    return errnoOf(alloc(PAGE));
  },
  async removed() {
    const { bench, ioctl, exported, address } = await mappedWorld();
    bench.device().driver.remove();
    expect(await errnoOf(ioctl('HL_IOCTL_INFO', { op: 'HL_INFO_DEVICE_STATUS' }))).toBe('ENODEV');
    return errnoOf(exported(address, PAGE));
  },
  async notOwner() {
    const { bench, process, fd } = await mappedWorld();
    const other = bench.start();
    const passed = passDescriptor(process, fd, other.process);
    const used = bench.device().usage();
    const call = hlthunk.hlthunk_device_memory_alloc(other.channel, passed, PAGE);
    const errno = await errnoOf(call);
    expect(bench.device().usage()).toEqual(used);
    return errno;
  },
  unknownOp: async () => errnoOf((await mappedWorld()).memory({ op: 'HL_MEM_OP_TS_ALLOC' })),

  allocSize: async () => errnoOf((await mappedWorld()).alloc(0)),
  allocPageSize: async () => errnoOf((await mappedWorld()).alloc(PAGE, 3 * PAGE)),
  allocFull: async () => errnoOf((await mappedWorld()).alloc(13 * PAGE)),
  async allocHandles() {
    const { bench, alloc } = await mappedWorld({ limits: { allocationsMax: 1 } });
    const errno = await errnoOf(alloc(PAGE));
    expect(bench.device().usage().allocations).toBe(1);
    return errno;
  },

  async freeUnknown() {
    const { channel, fd } = await mappedWorld();
    return errnoOf(hlthunk.hlthunk_device_memory_free(channel, fd, 2 ** 32 + 1));
  },
  async freeMapped() {
    const { channel, fd, handle } = await mappedWorld();
    return errnoOf(hlthunk.hlthunk_device_memory_free(channel, fd, handle));
  },
  async freeExported() {
    const { channel, fd, handle, address, exported } = await mappedWorld();
    await exported(address, PAGE);
    return errnoOf(hlthunk.hlthunk_device_memory_free(channel, fd, handle));
  },

  mapUnknown: async () => errnoOf((await mappedWorld()).map(99)),
  async mapHint() {
    const { memory, handle, address } = await mappedWorld();
    const op = 'HL_MEM_OP_MAP';
    return errnoOf(memory({ op, userptr: false, handle, hint: address, forceHint: true }));
  },
  async mapHostSize() {
    const { channel, fd } = await mappedWorld();
    return errnoOf(hlthunk.hlthunk_host_memory_map(channel, fd, 64, 0));
  },
  async mapHostOverflow() {
    const { channel, fd } = await mappedWorld();
    return errnoOf(hlthunk.hlthunk_host_memory_map(channel, fd, Number.MAX_SAFE_INTEGER, PAGE));
  },
  mapForeign: null,
  async mapFull() {
    const { handle, map } = await mappedWorld({ limits: { mappingsMax: 1 } });
    return errnoOf(map(handle));
  },
  async mapHostPointer() {
    const { process, channel, fd } = await mappedWorld();
    const end = process.memory.byteLength;
    return errnoOf(hlthunk.hlthunk_host_memory_map(channel, fd, end - 1, 2));
  },

  async unmapUnknown() {
    const { channel, fd, address } = await mappedWorld();
    return errnoOf(hlthunk.hlthunk_memory_unmap(channel, fd, address + PAGE));
  },
  async unmapExported() {
    const { channel, fd, address, exported } = await mappedWorld();
    await exported(address, PAGE);
    return errnoOf(hlthunk.hlthunk_memory_unmap(channel, fd, address));
  },

  async exportAlignment() {
    const { address, exported } = await mappedWorld();
    expect(await errnoOf(exported(address, PAGE, 8))).toBe('EINVAL');
    return errnoOf(exported(address + 8, PAGE));
  },
  async exportSize() {
    const { address, exported } = await mappedWorld();
    // The size need not be a multiple of the page.
    expect(await errnoOf(exported(address, PAGE_SIZE + 1))).toBe('no error');
    return errnoOf(exported(address, PAGE_SIZE - 1));
  },
  async exportNotMapped() {
    const { channel, fd, address, exported } = await mappedWorld();
    expect(await errnoOf(exported(address + PAGE, PAGE))).toBe('EINVAL');
    const host = await hlthunk.hlthunk_host_memory_map(channel, fd, PAGE_SIZE, PAGE_SIZE);
    return errnoOf(exported(host, PAGE_SIZE));
  },
  async exportBeyond() {
    const { address, exported } = await mappedWorld();
    return errnoOf(exported(address, PAGE + 1, 3 * PAGE));
  },
  async exportOffset() {
    const { bench, exported } = await mappedWorld({ asic: 'gaudi1' });
    return errnoOf(exported(await dramBase(bench), PAGE, PAGE));
  },
  async exportRange() {
    const { bench, exported } = await mappedWorld({ asic: 'gaudi1' });
    const base = await dramBase(bench);
    for (const [address, size] of [
      [0, PAGE],
      [base - PAGE_SIZE, PAGE_SIZE],
      [base, 16 * PAGE + 1],
      [base + 16 * PAGE, PAGE_SIZE],
      [base, 2 ** 52],
    ] as const) {
      expect(await errnoOf(exported(address, size))).toBe('EINVAL');
    }
    expect(await errnoOf(exported(base + 15 * PAGE, PAGE))).toBe('no error');
    return errnoOf(exported(base + 15 * PAGE, PAGE + 1));
  },
  async exportBar() {
    const gaudi2 = await mappedWorld({ barBytes: 3 * PAGE });
    expect(await errnoOf(gaudi2.exported(gaudi2.address, 2 * PAGE))).toBe('no error');
    expect(await errnoOf(gaudi2.exported(gaudi2.address, 2 * PAGE + 1))).toBe('EINVAL');
    const { bench, exported } = await mappedWorld({ asic: 'gaudi1', barBytes: 3 * PAGE });
    const base = await dramBase(bench);
    expect(await errnoOf(exported(base + PAGE, PAGE))).toBe('no error');
    return errnoOf(exported(base + 2 * PAGE, PAGE));
  },
  async exportFlags() {
    const { address, exported } = await mappedWorld();
    return errnoOf(exported(address, PAGE, 0, 0o4));
  },
  async exportCount() {
    const { bench, address, exported } = await mappedWorld({ limits: { exportsMax: 1 } });
    await exported(address, PAGE);
    const errno = await errnoOf(exported(address, PAGE));
    expect(bench.device().usage().exports).toBe(1);
    return errno;
  },
  async exportDescriptors() {
    const { bench, process, channel, fd, address, exported } = await mappedWorld();
    while (process.fds.openCount < OPEN_FILES_MAX) await channel.call('dup', { fd });
    const errno = await errnoOf(exported(address, PAGE));
    expect([bench.device().usage().exports, bench.dmaBufs.dmaBufs]).toEqual([0, []]);
    return errno;
  },

  async attachNotRevocable() {
    const { process, address, exported } = await mappedWorld({ ownership: 'revoke' });
    const { fd } = (await exported(address, PAGE)) as { fd: number };
    return refusal(await Region.register(process, fd, 'pinned'));
  },
  async attachRevoked() {
    const { bench, process, channel, fd, address, exported } = await mappedWorld({
      ownership: 'revoke',
    });
    const buffer = ((await exported(address, PAGE)) as { fd: number }).fd;
    await bench.run(hlthunk.hlthunk_close(channel, fd));
    return refusal(await Region.register(process, buffer, 'revocable'));
  },
  async mapPeerToPeer() {
    const { process, address, exported } = await mappedWorld();
    const { fd } = (await exported(address, PAGE)) as { fd: number };
    return refusal(await Region.register(process, fd, 'pinned', { allowPeer2Peer: false }));
  },
  async mapSegment() {
    const { process, address, exported } = await mappedWorld();
    const { fd } = (await exported(address, PAGE)) as { fd: number };
    return refusal(await Region.register(process, fd, 'pinned', { maxSegmentBytes: 4095 }));
  },
};

const SUBMISSION: ScenariosOf<typeof SUBMISSION_ERRORS> = {
  async notOperational() {
    const { bench, address, submit } = await mappedWorld();
    void bench.device().driver.hardReset('test');
    return errnoOf(submit(fill(address, 1)));
  },
  jobs: async () => errnoOf((await mappedWorld()).submit()),
  async address() {
    const { address, submit } = await mappedWorld();
    return errnoOf(submit(fill(address + 4 * PAGE, 1)));
  },
  async inFlight() {
    const { address, submit } = await mappedWorld();
    for (let index = 0; index < CS_IN_FLIGHT_MAX; index++) await submit(fill(address, 1));
    return errnoOf(submit(fill(address, 1)));
  },
  async unknown() {
    const { channel, fd, address, submit, wait } = await mappedWorld();
    const sequence = await submit(fill(address, 1));
    const many = (count: number) =>
      errnoOf(hlthunk_wait_for_multi_cs(channel, fd, Array(count).fill(sequence), 0));
    expect([await many(0), await many(32), await many(33)]).toEqual([
      'EINVAL',
      'no error',
      'EINVAL',
    ]);
    return errnoOf(wait(2));
  },
  async timeout() {
    const { address, submit, wait } = await mappedWorld();
    return errnoOf(wait(await submit(fill(address, 1)), 600_000_001));
  },
  async waits() {
    const { bench, address, submit, wait } = await mappedWorld();
    const sequence = await submit(fill(address, 1));
    const waits = Array.from({ length: 1024 }, () => wait(sequence));
    const errno = await errnoOf(wait(sequence));
    await bench.run(Promise.all(waits));
    return errno;
  },
  async interrupted() {
    const { bench, process, address, submit, wait } = await mappedWorld();
    const waiting = errnoOf(wait(await submit(fill(address, 1))));
    bench.processes.kill(process.pid, 'SIGKILL');
    return waiting;
  },
  async timedOut() {
    const { bench, address, submit, wait } = await mappedWorld({ limits: { csTimeoutMs: 5 } });
    stall(bench);
    const sequence = await submit(fill(address, 1));
    return bench.run(errnoOf(wait(sequence, 1_000_000)));
  },
  async aborted() {
    const { bench, address, submit, wait } = await mappedWorld();
    const waiting = errnoOf(wait(await submit(fill(address, 1))));
    void bench.device().driver.hardReset('test');
    return waiting;
  },
  async wantsReset() {
    const options = { limits: { csTimeoutMs: 5 }, resetOnLockup: false };
    const { bench, address, submit, wait } = await mappedWorld(options);
    stall(bench);
    const sequence = await submit(fill(address, 1));
    await bench.sleep(10);
    expect(bench.device().driver.describe().status).toBe('NEEDS_RESET');
    return errnoOf(wait(sequence));
  },
};

const RESET: ScenariosOf<typeof RESET_ERRORS> = {
  async privilege() {
    const bench = new DeviceBench();
    return errnoOf(resetDevice(bench, false));
  },
  async disabled() {
    const bench = new DeviceBench();
    bench.device().driver.disable('test');
    return errnoOf(resetDevice(bench));
  },
  async removed() {
    const bench = new DeviceBench();
    const { channel } = bench.start('admin', true);
    const control = await hlthunk.hlthunk_open_control(channel, 0);
    bench.device().driver.remove();
    return errnoOf(hlthunk.hlthunk_device_reset(channel, control));
  },
  async busy() {
    const { bench, process, fd } = await mappedWorld();
    const other = bench.start();
    passDescriptor(process, fd, other.process);
    const done = bench.run(errnoOf(resetDevice(bench)));
    bench.scheduler.after(30_000, () => other.process.exit());
    expect(await done).toBe('no error');
    const retried = bench.events.filter(({ kind }) => kind === 'resetRetried');
    expect(retried).toHaveLength(2);
    return retried[0]?.message.split(':')[0] ?? '';
  },
  async exhausted() {
    const { bench, process, fd } = await mappedWorld();
    passDescriptor(process, fd, bench.start().process);
    return bench.run(errnoOf(resetDevice(bench)));
  },
};

/** Physical address of the user's part of DRAM. */
async function dramBase(bench: DeviceBench): Promise<number> {
  const { channel } = bench.start();
  const control = await hlthunk.hlthunk_open_control(channel, 0);
  return (await hlthunk.hlthunk_get_hw_ip_info(channel, control)).dramBaseAddress;
}

function refusal(result: Region | string): string {
  return typeof result === 'string' ? result : 'no error';
}

function prove(
  table: Readonly<Record<string, ErrnoRow>>,
  scenarios: Readonly<Record<string, Scenario | null>>,
) {
  for (const [name, { call, condition, errno, never }] of Object.entries(table)) {
    const scenario = scenarios[name];
    if (scenario === null || scenario === undefined) {
      it(`${call}: ${condition}: ${errno} cannot happen, and says why`, () => {
        expect(never).toMatch(/\w/);
      });
      continue;
    }
    it(`${call}: ${condition}: ${errno}`, async () => {
      expect(await scenario()).toBe(errno);
    });
  }
}

describe('HL_IOCTL_MEMORY', () => prove(MEMORY_ERRORS, MEMORY));
describe('HL_IOCTL_CS and HL_IOCTL_WAIT_CS', () => prove(SUBMISSION_ERRORS, SUBMISSION));
describe('reset', () => prove(RESET_ERRORS, RESET));
