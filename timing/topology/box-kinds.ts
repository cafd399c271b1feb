/** Which boxes there are, for so many boxes or cards as somebody asked for. */
import { defined } from '../../common/assert.ts';
import { BOXES_MAX, CARDS_MAX, type TopologyFile } from './file.ts';
import { impossible } from './values.ts';

export interface HowMany {
  readonly boxes?: number | undefined;
  readonly cards?: number | readonly number[] | undefined;
}

/** Kind of every box, within the limits. */
export function kindsOfBoxes(file: TopologyFile, { boxes, cards }: HowMany): string[] {
  const [first, ...others] = file.boxes;
  const kind = defined(first, 'the first boxes').kind;
  const given = file.boxes.reduce((sum, { count }) => sum + count, 0);
  const count = boxes ?? boxesFor(file, cards, given);
  if (!Number.isInteger(count) || count < 1 || count > BOXES_MAX) {
    throw impossible(`Expected 1 to ${BOXES_MAX} boxes of ${file.name} but found ${count}`);
  }
  if (others.length === 0) return Array<string>(count).fill(kind);
  if (count > given) {
    throw impossible(
      `Expected at most the ${given} boxes of ${file.name}, which are listed one kind after the other, but found ${count}`,
    );
  }
  return file.boxes.flatMap((some) => Array<string>(some.count).fill(some.kind)).slice(0, count);
}

/** The file's, or enough of them for so many cards. */
function boxesFor(file: TopologyFile, cards: HowMany['cards'], given: number): number {
  const [first, ...others] = file.boxes;
  if (cards === undefined || first === undefined || others.length > 0) return given;
  const kind = defined(file.boxKinds[first.kind], first.kind);
  const perBox = kind.cards.reduce((sum, { count }) => sum + count, 0);
  const last = typeof cards === 'number' ? cards : Math.max(...cards) + 1;
  if (!(last <= CARDS_MAX)) {
    throw impossible(`Expected at most ${CARDS_MAX} cards of ${file.name} but found ${last}`);
  }
  return Math.max(given, Math.ceil(last / perBox));
}
