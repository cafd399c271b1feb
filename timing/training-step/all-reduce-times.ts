/** How long all-reduces of different lengths take on one network, each predicted once. */
import type { CollectiveName } from '../../collectives/collective.ts';
import { type BuildRequest, buildSchedule } from '../../collectives/table.ts';
import { HlsimError } from '../../common/errors.ts';
import { choiceOn } from '../choice.ts';
import { predict } from '../engine/predict.ts';
import { padded } from '../experiment/padding.ts';
import type { Prover } from '../experiment/proof.ts';
import { WorkSizes } from '../experiment/work-size.ts';
import type { Network } from '../network.ts';
import type { PredictionRequest } from '../prediction.ts';
import { SLICE_BYTES_DEFAULT, SLOTS_DEFAULT } from '../sweep.ts';

const COLLECTIVE: CollectiveName = 'allReduce';

export interface AllReduceOptions {
  readonly network: Network;
  readonly bytesPerElement: number;
  /** Absent: what `choiceOn` chooses for each length. */
  readonly algorithm?: string | undefined;
}

export class AllReduceTimes {
  readonly #options: AllReduceOptions;
  readonly #prover: Prover;
  readonly #sizes = new WorkSizes();
  readonly #known = new Map<number, number>();

  constructor(options: AllReduceOptions, prover: Prover) {
    this.#options = options;
    this.#prover = prover;
  }

  /** @throws HlsimError for an algorithm that cannot be built for these ranks, or is wrong, or gets stuck */
  seconds(elements: number): number {
    const { network } = this.#options;
    if (network.nranks === 1 || elements === 0) return 0;
    const known = this.#known.get(elements) ?? this.#predict(elements);
    this.#known.set(elements, known);
    return known;
  }

  #predict(elements: number): number {
    const { network, bytesPerElement, algorithm } = this.#options;
    const { nranks, topology } = network;
    const bytes = elements * bytesPerElement;
    const chosen = choiceOn({ network, collective: COLLECTIVE, bytes });
    const way = algorithm === undefined ? chosen : { algorithm, channels: 1 };
    const request: BuildRequest = { ...way, collective: COLLECTIVE, topology };
    this.#prover.prove(request);
    const sliceBytes = ('sliceBytes' in way ? way.sliceBytes : undefined) ?? SLICE_BYTES_DEFAULT;
    const asked: PredictionRequest = {
      work: buildSchedule(request),
      counts: elements,
      bytesPerElement,
      network,
      model: 'flow',
      execution: { sliceBytes, slotsPerConnection: SLOTS_DEFAULT },
      ranks: 'alike',
    };
    const outcome = predict(padded(asked, this.#sizes));
    if (outcome.kind === 'predicted') return outcome.seconds;
    throw new HlsimError(
      'HLSIM_SCHEDULE_REFUTED',
      `Expected ${way.algorithm} on ${nranks} ranks to end but found it stuck: choose another algorithm`,
    );
  }
}
