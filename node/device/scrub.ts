/**
 * Zeroing the memory of a device between two users (hl_device scrub_device_dram): in slices, so that
 * everybody else of the host gets a turn. Nobody can open the device meanwhile.
 */
import type { Scheduler } from '../../common/scheduler.ts';
import type { Hbm } from './hbm.ts';

/**
 * Zeroes what was touched since the last scrub and then calls `done`: within the call if one slice is
 * enough.
 */
export function scrub(hbm: Hbm, scheduler: Scheduler, sliceBytes: number, done: () => void): void {
  if (hbm.scrubSlice(sliceBytes) === 'done') done();
  else scheduler.after(0, () => scrub(hbm, scheduler, sliceBytes, done));
}
