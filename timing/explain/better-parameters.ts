/** Each parameter of a topology a tenth better, one at a time. */
import type { Network } from '../network.ts';
import type { TopologyFile } from '../topology/file.ts';
import type { BetterParameter } from './explain.ts';

/** By how much of itself each parameter is changed. */
const STEP = 0.1;

/**
 * Those that `network` was made with and that can be better: a time of 0 and an efficiency of 1 cannot.
 * `networkWith` makes the network with other values, by the parameters' names.
 */
export function betterParameters(
  file: TopologyFile,
  network: Network,
  networkWith: (values: Readonly<Record<string, number>>) => Network,
): readonly BetterParameter[] {
  return network.parameters.flatMap(({ name }): BetterParameter[] => {
    const given = file.parameters[name]?.value;
    if (given === undefined || given.value === 0) return [];
    const factor = betterBy(given);
    if (factor === 1) return [];
    return [{ name, factor, network: () => networkWith({ [name]: given.value * factor }) }];
  });
}

type Value = TopologyFile['parameters'][string]['value'];

/** A fraction below 1 is an efficiency, of which there is no more than all. */
function betterBy({ quantity, value }: Value): number {
  if (quantity === 'time') return 1 - STEP;
  if (quantity === 'fraction' && value <= 1) return Math.min(1 / value, 1 + STEP);
  return 1 + STEP;
}
