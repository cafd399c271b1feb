/** Steps of a model on ever more boxes, with buckets of several sizes. */
import { ELEMENT_TYPES } from '../../collectives/arithmetic.ts';
import type { Prover } from '../experiment/proof.ts';
import type { Network } from '../network.ts';
import { AllReduceTimes } from './all-reduce-times.ts';
import { stepBuckets } from './step-buckets.ts';
import { type StepTime, stepTime } from './step-time.ts';
import type { TrainingModel } from './training-model.ts';

export interface StepSweepRequest {
  readonly model: TrainingModel;
  readonly networks: Iterable<Network>;
  readonly bucketBytes: readonly number[];
  readonly overlap: boolean;
  /** Absent: what the tuner chooses for each bucket. */
  readonly algorithm?: string | undefined;
  /** Told before each network. */
  readonly progress?: ((network: Network) => void) | undefined;
}

export interface StepRow extends StepTime {
  readonly network: Network;
  readonly bucketBytes: number;
  /** Of the sizes of buckets on this network the fastest; the first of several. */
  readonly best: boolean;
}

/** The rows of one network together, as they are known. */
export function* stepSweep(
  { model, networks, bucketBytes, overlap, algorithm, progress }: StepSweepRequest,
  prover: Prover,
): Generator<readonly StepRow[]> {
  const bytesPerElement = ELEMENT_TYPES[model.elementType].bytes;
  for (const network of networks) {
    progress?.(network);
    const times = new AllReduceTimes({ network, bytesPerElement, algorithm }, prover);
    const reduceSeconds = (elements: number): number => times.seconds(elements);
    const steps = bucketBytes.map((size) =>
      stepTime({ model, buckets: stepBuckets(model, size), overlap, reduceSeconds }),
    );
    const least = Math.min(...steps.map(({ stepSeconds }) => stepSeconds));
    const best = steps.findIndex(({ stepSeconds }) => stepSeconds === least);
    yield steps.map((step, index) => ({
      ...step,
      network,
      bucketBytes: bucketBytes[index] ?? 0,
      best: index === best,
    }));
  }
}
