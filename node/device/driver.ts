/**
 * The habanalabs driver: who may have the device, and what its files do (habanalabs_drv.c, device.c).
 *
 *     free -> open -> (descriptors closed, dma-bufs alive) releasing -> free
 *
 * Ownership policy `owner`: one user at a time. Its device file lives until the last descriptor and the
 * last dma-buf are gone; then its memory is freed and scrubbed, and only then can somebody else open.
 */
import { assert } from '../../common/assert.ts';
import type { Errno } from '../../common/errno.ts';
import { type FileOperations, OpenFile } from '../process/file.ts';
import type { SimProcess } from '../process/sim-process.ts';
import { errnoFailure, type SystemCallValue } from '../process/system-call.ts';
import { integerField, recordOf, stringField } from '../process/system-call-argument.ts';
import { Context, type DeviceHardware } from './context.ts';
import { memoryRequest, submissionRequest, waitRequest } from './device-requests.ts';
import { DRAM_BASE, DRAM_PAGE_BYTES } from './hbm.ts';
import type { HwIpInfo, MemoryLookup, OpenStats } from './uapi.ts';

/** PCI vendor id of Habana Labs. */
const PCI_VENDOR_HABANA = 0x1da3;

/** The user that has the device, from open until the file is released. */
interface User {
  readonly context: Context;
  readonly openedAtMs: number;
  state: 'open' | 'releasing';
}

/** What is in use on a device; all zero and `free` once everybody has closed. */
export interface DeviceUsage {
  readonly state: 'free' | User['state'];
  readonly allocations: number;
  readonly allocatedBytes: number;
  readonly mappings: number;
  readonly exports: number;
  readonly submissions: number;
}

export class Driver {
  readonly #hardware: DeviceHardware;
  #user: User | undefined;
  #openCount = 0;
  #lastOpenPeriodMs = 0;

  constructor(hardware: DeviceHardware) {
    this.#hardware = hardware;
  }

  /** EBUSY: somebody has it open; EAGAIN: the last user's memory is still referred to. */
  openCompute(): OpenFile | Errno {
    if (this.#user !== undefined) return this.#user.state === 'open' ? 'EBUSY' : 'EAGAIN';
    const openedAtMs = this.#hardware.scheduler.clock.now();
    const user: User = { context: new Context(this.#hardware), openedAtMs, state: 'open' };
    this.#user = user;
    this.#openCount++;
    const file: OpenFile = new OpenFile({
      kind: 'accel',
      ioctl: (caller, request, argument) =>
        this.#computeRequest(user.context, file, caller, request, argument),
      closed() {
        user.state = 'releasing';
        user.context.close();
      },
      release: () => this.#releaseDevice(user),
    });
    return file;
  }

  /** Information only; any number of times. */
  openControl(): OpenFile {
    const operations: FileOperations = {
      kind: 'accel_control',
      ioctl: (_caller, request, argument) => {
        if (request === 'HL_IOCTL_INFO') return this.#info(argument, undefined);
        throw errnoFailure('ENOTTY', `the control node has no ${request}`);
      },
      release: () => undefined,
    };
    return new OpenFile(operations);
  }

  usage(): DeviceUsage {
    const context = this.#user?.context;
    return {
      state: this.#user?.state ?? 'free',
      allocations: this.#hardware.hbm.allocatedCount,
      allocatedBytes: this.#hardware.hbm.allocatedBytes,
      mappings: context?.mmu.mappings.length ?? 0,
      exports: context?.exportCount ?? 0,
      submissions: context?.commands.inFlightCount ?? 0,
    };
  }

  /** The device becomes free last, so that no new user can see old memory. */
  #releaseDevice(user: User): void {
    assert(this.#user === user, 'Expected the device to be released by its user');
    user.context.close();
    user.context.destroy();
    this.#hardware.hbm.scrub();
    this.#lastOpenPeriodMs = this.#hardware.scheduler.clock.now() - user.openedAtMs;
    this.#user = undefined;
  }

  #computeRequest(
    context: Context,
    file: OpenFile,
    caller: SimProcess,
    request: string,
    argument: SystemCallValue,
  ): SystemCallValue | Promise<SystemCallValue> {
    switch (request) {
      case 'HL_IOCTL_INFO':
        return this.#info(argument, context);
      case 'HL_IOCTL_MEMORY':
        return memoryRequest(context, file, caller, argument);
      case 'HL_IOCTL_CS':
        return submissionRequest(context, argument);
      case 'HL_IOCTL_WAIT_CS':
        return waitRequest(context, argument);
      default:
        throw errnoFailure('ENOTTY', `the device has no ${request}`);
    }
  }

  /** HL_IOCTL_INFO; without a context from the control node. */
  #info(argument: SystemCallValue, context: Context | undefined): SystemCallValue {
    const record = recordOf(argument, 'the argument of HL_IOCTL_INFO');
    const op = stringField(record, 'op');
    switch (op) {
      case 'HL_INFO_HW_IP_INFO':
        return { ...this.#hwIpInfo() };
      case 'HL_INFO_DRAM_USAGE':
        return this.#dramUsage(context);
      case 'HL_INFO_DEVICE_STATUS':
        return { status: 'OPERATIONAL' };
      case 'HL_INFO_OPEN_STATS':
        return { ...this.#openStats() };
      case 'HLSIM_INFO_MEMORY_LOOKUP':
        if (context !== undefined) return lookup(context, integerField(record, 'address'));
        throw errnoFailure('EINVAL', 'the control node has no memory to look up');
      default:
        throw errnoFailure('EINVAL', `HL_IOCTL_INFO has no op ${op}`);
    }
  }

  #hwIpInfo(): HwIpInfo {
    const { index, hbm } = this.#hardware;
    return {
      vendorId: PCI_VENDOR_HABANA,
      moduleId: index,
      dramBaseAddress: DRAM_BASE + DRAM_PAGE_BYTES,
      dramBytes: hbm.bytes,
      dramPageBytes: DRAM_PAGE_BYTES,
      importApertureBytes: hbm.apertureBytes,
    };
  }

  #dramUsage(context: Context | undefined): SystemCallValue {
    const { bytes, allocatedBytes } = this.#hardware.hbm;
    const contextDramBytes = context === undefined ? 0 : allocatedBytes;
    return { dramFreeBytes: bytes - allocatedBytes, contextDramBytes };
  }

  #openStats(): OpenStats {
    return {
      openCounter: this.#openCount,
      lastOpenPeriodMs: this.#lastOpenPeriodMs,
      isComputeContextActive: this.#user !== undefined,
      computeContextInRelease: this.#user?.state === 'releasing',
    };
  }
}

function lookup(context: Context, address: number): SystemCallValue {
  const mapping = context.mmu.mappingContaining(address);
  if (mapping === undefined) throw errnoFailure('EFAULT', `nothing is mapped at ${address}`);
  const { kind, virtualAddress, bytes } = mapping;
  const handle = mapping.kind === 'dram' ? mapping.handle : 0;
  return { address: virtualAddress, size: bytes, kind, handle } satisfies MemoryLookup;
}
