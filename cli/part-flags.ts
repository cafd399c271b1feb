/** How much of a topology takes part. */
import { LIMITS } from '../timing/experiment/experiment.ts';
import { optional } from './flags.ts';
import { counts } from './predict-readers.ts';
import { integer } from './readers.ts';

export const partFlags = {
  boxes: optional({
    name: 'boxes',
    value: '<list>',
    description:
      'numbers of boxes, such as 1,2,4..256 (.. doubles); what the topology says unless given',
    reader: counts(LIMITS.boxes),
  }),
  cards: optional({
    name: 'cards',
    value: '<n>',
    description:
      'cards that take part, the first ones: of each box with --boxes, else of all; all unless given',
    reader: integer(1, LIMITS.cards),
  }),
};
