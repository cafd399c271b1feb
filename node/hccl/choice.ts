/**
 * How a call is to be carried out: as the tuner says, unless the job's settings or the communicator's
 * program say otherwise. A function of what all ranks know, so that they come to the same answer.
 */
import type { CollectiveName } from '../../collectives/collective.ts';
import { algorithmsFor, expectBuildable, optionsOf, rowFor } from '../../collectives/table.ts';
import type { Topology } from '../../collectives/topology.ts';
import { type Choice, type ChoiceRequest, choose } from '../../collectives/tuner.ts';
import { KiB } from '../../common/bytes.ts';
import { messageOf } from '../../common/errors.ts';
import { invalidArgument } from './failure.ts';
import { slotBytes } from './lanes.ts';
import type { LoadedSchedule } from './loaded-schedule.ts';
import { baseName, type CallSettings } from './settings.ts';
import { longestSlice, type SlicedCall } from './slice-choice.ts';

/** With everything that ranks must agree on. */
export interface RunChoice extends Choice {
  readonly sliceBytes: number;
  /** The schedule that the program has brought along, in place of an algorithm. */
  readonly loaded?: LoadedSchedule;
}

/** Slices of loaded schedules, whose many connections and deep ones need memory for several each. */
const LOADED_SLICE_BYTES = 64 * KiB;
/** Slices are a multiple of this, and so of every element. */
const SLICE_GRANULE_BYTES = 64;

/** What decides, the later ones first: settings of the job, hcclCommSetChoice. */
export interface ChoiceSources {
  readonly settings: CallSettings;
  readonly own: OwnChoice | undefined;
}

/** What hcclCommSetChoice was given. */
export type OwnChoice = { readonly [K in keyof Choice]?: Choice[K] | undefined };

/** A call of one communicator. */
export interface PlacedRequest extends ChoiceRequest {
  readonly topology: Topology;
  /** Where the buffers lie, if all ranks must have them alike. */
  readonly placement: 'inPlace' | 'outOfPlace';
}

export function chooseFor(request: PlacedRequest, { settings, own }: ChoiceSources): RunChoice {
  const { collective, nranks } = request;
  const tuned = fitting(choose(request, settings.tuning), request);
  const choice = overridden(overridden(tuned, settings, collective), own, collective);
  expectFitting(choice, request);
  const sliceBytes = sliceBytesOf({ ...choice, collective, nranks });
  return { ...choice, sliceBytes };
}

/** Whether the job or the program says how a collective is carried out, and not the built-in table alone. */
export function isChosen(collective: CollectiveName, { settings, own }: ChoiceSources): boolean {
  if (settings.tuning !== undefined || settings.channels !== undefined) return true;
  if (own?.channels !== undefined || own?.chunks !== undefined) return true;
  const named = [settings.algorithm, own?.algorithm];
  const known = algorithmsFor(collective);
  return named.some((name) => name !== undefined && known.includes(baseName(name)));
}

/** Throws hcclInvalidArgument for what somebody chose although it cannot be done: nothing has started yet. */
function expectFitting(
  { algorithm, channels, chunks }: Choice,
  { collective, topology, placement }: PlacedRequest,
): void {
  const parts = { channels, ...(chunks === undefined ? {} : { chunks }) };
  try {
    expectBuildable({ collective, algorithm, topology, placement, ...parts });
  } catch (reason) {
    throw invalidArgument(messageOf(reason));
  }
}

/** The tuner knows nothing of placements: what it chose, or the first algorithm that can do this one. */
function fitting(choice: Choice, { collective, topology, placement }: PlacedRequest): Choice {
  const fits = (algorithm: string): boolean => {
    const options = optionsOf({ collective, algorithm, topology, placement });
    return rowFor(collective, algorithm).restrictions.every(({ holds }) => holds(options));
  };
  if (placement === 'outOfPlace' || fits(choice.algorithm)) return choice;
  const algorithm = algorithmsFor(collective).find(fits);
  return algorithm === undefined ? choice : { algorithm, channels: 1 };
}

/** A loaded schedule has its own chunks and channels; how finely they are cut is still a choice. */
export function chooseLoaded(
  loaded: LoadedSchedule,
  nranks: number,
  { settings, own }: ChoiceSources,
): RunChoice {
  const { algorithm, channels, chunks } = loaded;
  const wanted = own?.sliceBytes ?? settings.sliceBytes ?? LOADED_SLICE_BYTES;
  const sliceBytes = inGranules(Math.min(slotBytes(nranks), wanted));
  return { algorithm, channels, chunks, sliceBytes, loaded };
}

function sliceBytesOf(call: SlicedCall & { readonly sliceBytes?: number }): number {
  const longest = longestSlice(call);
  return inGranules(Math.min(longest, call.sliceBytes ?? longest));
}

function inGranules(bytes: number): number {
  return Math.max(SLICE_GRANULE_BYTES, bytes - (bytes % SLICE_GRANULE_BYTES));
}

/** `choice` with what `by` names. Another algorithm has parameters of its own. */
function overridden(choice: Choice, by: OwnChoice | undefined, collective: CollectiveName): Choice {
  if (by === undefined) return choice;
  const { algorithm, channels, chunks, sliceBytes } = by;
  const applies =
    algorithm !== undefined && algorithmsFor(collective).includes(baseName(algorithm));
  const base = applies && algorithm !== choice.algorithm ? { algorithm, channels: 1 } : choice;
  return {
    ...base,
    ...(channels !== undefined && { channels }),
    ...(chunks !== undefined && { chunks }),
    ...(sliceBytes !== undefined && { sliceBytes }),
  };
}
