/** What the file calls the steps of its programs, so that a person finds them there. */
import type { LabelOf } from '../verifier/finding.ts';
import type { ReadDocument } from './read-document.ts';

/**
 * Steps count as in the file, with the `nop`s that have become dependencies of others. The channel of a
 * thread block is its `chan`; copies have none.
 */
export function stepLabels({ document, lineOf }: ReadDocument): LabelOf {
  return ({ rank, channel, step }) => {
    const gpu = document.gpus[rank];
    const threadBlock = gpu?.threadBlocks[channel];
    if (gpu === undefined || threadBlock === undefined) {
      const copy = channel === gpu?.threadBlocks.length ? gpu.copies[step] : undefined;
      return copy && { text: `rank ${rank} copy ${step}`, step, line: lineOf(copy) };
    }
    const { chan, steps } = threadBlock;
    let real = -1;
    const number = steps.findIndex(({ type }) => {
      if (type !== 'nop') real++;
      return real === step;
    });
    const found = steps[number];
    if (found === undefined) return undefined;
    const text = `rank ${rank} channel ${chan} tb ${channel} step ${number}`;
    return { text, channel: chan, threadBlock: channel, step: number, line: lineOf(found) };
  };
}
