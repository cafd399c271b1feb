/** Bounds and times of a device: the driver's own, which a host or a test may set differently. */
import { MiB } from '../../common/bytes.ts';

export interface DeviceLimits {
  /** Live allocations of one context. */
  readonly allocationsMax: number;
  /** Mappings of one context. */
  readonly mappingsMax: number;
  /** Live dma-bufs of one context. */
  readonly exportsMax: number;
  /** Time a submission may be the device's next or current one, before the device counts as stuck. */
  readonly csTimeoutMs: number;
  /** Memory that is zeroed in one go, before others (NIC, heartbeat) get a turn. */
  readonly scrubSliceBytes: number;
  /** Time that importers have to let go when their memory is taken back; longer is a bug of theirs. */
  readonly revokeDeadlineMs: number;
  /** Hard reset: time for users to leave by themselves, before each kill. */
  readonly resetGraceMs: number;
  /** Hard reset: time for killed users to be gone (HL_PENDING_RESET_PER_SEC, in seconds there). */
  readonly resetWaitMs: number;
  /** Hard reset: kills and waits before the device is given up (HL_PENDING_RESET_MAX_TRIALS). */
  readonly resetTrials: number;
}

/** As the kernel has them, but for `resetTrials`, which is 60 there: ten minutes are long to look at. */
export const DEVICE_LIMITS: DeviceLimits = {
  allocationsMax: 65_536,
  mappingsMax: 65_536,
  exportsMax: 4096,
  csTimeoutMs: 600_000,
  scrubSliceBytes: 16 * MiB,
  revokeDeadlineMs: 5000,
  resetGraceMs: 1000,
  resetWaitMs: 10_000,
  resetTrials: 6,
};
