/** Which cards take part where a number of boxes and a number of cards in each are asked for. */
import { HlsimError } from '../../common/errors.ts';
import type { TopologyFile } from './file.ts';

/**
 * The first `perBox` cards of each of the first `boxes` boxes, for `networkOf`.
 *
 * @throws HlsimError `HLSIM_USAGE` if a box has not so many
 */
export function cardsOfBoxes(
  topology: TopologyFile,
  boxes: number,
  perBox: number,
): readonly number[] {
  const kinds = topology.boxes.flatMap(({ kind, count }) => Array<string>(count).fill(kind));
  const cards: number[] = [];
  let first = 0;
  for (let box = 0; box < boxes; box += 1) {
    const kind = topology.boxKinds[kinds[box] ?? kinds.at(-1) ?? ''];
    const size = (kind?.cards ?? []).reduce((sum, { count }) => sum + count, 0);
    if (perBox > size) {
      throw new HlsimError(
        'HLSIM_USAGE',
        `Expected at most the ${size} cards that a box of ${topology.name} has but found ${perBox}`,
      );
    }
    for (let card = 0; card < perBox; card += 1) cards.push(first + card);
    first += size;
  }
  return cards;
}
