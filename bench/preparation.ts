/** What a sweep tells its communicator before it begins. */
import type * as Library from 'hlsim';
import type { BenchOptions } from './options.ts';

/** The calls that are made here: the package's, or those of a test. */
export type PreparationLibrary = Pick<typeof Library, 'hcclCommLoadSchedule' | 'hcclCommSetChoice'>;

/** Overrides what HCCL would pick, as far as the options say. */
export async function applyChoice(
  library: PreparationLibrary,
  comm: Library.HcclComm,
  { algorithm, channels, chunks, sliceBytes }: BenchOptions,
): Promise<void> {
  const choice = {
    ...(algorithm === undefined ? {} : { algorithm }),
    ...(channels === undefined ? {} : { channels }),
    ...(chunks === undefined ? {} : { chunks }),
    ...(sliceBytes === undefined ? {} : { sliceBytes }),
  };
  if (Object.keys(choice).length > 0) await library.hcclCommSetChoice(comm, choice);
}

/** Has HCCL take the schedule of the options, if there is one, in place of any algorithm. */
export async function loadSchedule(
  library: PreparationLibrary,
  comm: Library.HcclComm,
  { schedule }: BenchOptions,
): Promise<void> {
  if (schedule !== undefined) await library.hcclCommLoadSchedule(comm, schedule);
}
