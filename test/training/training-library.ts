/** The calls of a training's library, for a rank of a simulated cluster. */
import * as hccl from '../../node/hccl/api.ts';
import * as events from '../../node/hccl/event-api.ts';
import type { TrainingLibrary } from '../../training/trainer.ts';
import { type InlineLibrary, inlineLibrary } from '../simulation/inline-library.ts';
import type { InlineRank } from '../simulation/simulated-cluster.ts';

export function trainingLibrary(rank: InlineRank): TrainingLibrary & InlineLibrary {
  const { channel } = rank;
  return {
    ...inlineLibrary(rank),
    synStreamCreate: () => hccl.synStreamCreate(channel),
    synStreamDestroy: (stream) => hccl.synStreamDestroy(channel, stream),
    synEventCreate: () => events.synEventCreate(channel),
    synEventDestroy: (event) => events.synEventDestroy(channel, event),
    synEventRecord: (event, stream) => events.synEventRecord(channel, event, stream),
    synEventSynchronize: (event) => events.synEventSynchronize(channel, event),
  };
}
