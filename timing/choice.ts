/** Which algorithm carries a call out, where nobody has said. */
import type { CollectiveName } from '../collectives/collective.ts';
import { type Choice, choose, possibleAlgorithms } from '../collectives/tuner.ts';
import type { Network } from './network.ts';

/** HCCL's, as HCL does it. */
const OWN_ALGORITHM = 'hccl';

export interface ChoiceOnRequest {
  readonly network: Network;
  readonly collective: CollectiveName;
  /** nccl-tests' size. */
  readonly bytes: number;
  readonly chunks?: number | undefined;
}

/**
 * What the boxes' own library does where cards share boxes and it has an algorithm; else what the tuner chooses,
 * which was measured on processes of one machine and knows nothing of such boxes.
 */
export function choiceOn({ network, collective, bytes, chunks }: ChoiceOnRequest): Choice {
  const { nranks, topology } = network;
  const isOwn =
    topology.ranksPerBox > 1 &&
    possibleAlgorithms(collective, topology, chunks).includes(OWN_ALGORITHM);
  if (isOwn) return { algorithm: OWN_ALGORITHM, channels: 1 };
  return choose({ collective, bytes, nranks, boxes: topology.boxes });
}
