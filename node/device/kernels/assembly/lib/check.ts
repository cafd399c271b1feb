// Fills tensors with operands, and checks the results of reductions of them.
import { loadPart, storePart } from './elementwise.ts';
import { AVG, reduced } from './operations.ts';

/** data = the operands of `rank`. O: the operands of an element type. */
export function fillOperands<O>(
  data: usize,
  count: u32,
  op: u32,
  nranks: u32,
  rank: u32,
  seed: u32,
  first_index: u32,
): void {
  const operands = changetype<O>(0);
  const range = operands.range(op, nranks);
  const elements = operands.elements();
  for (let i: u32 = 0; i < count; i += elements) {
    const block = operands.block(first_index + i, op, nranks, rank, seed, range);
    storePart(data, min(count - i, elements) * (16 / elements), block);
    data += 16;
  }
}

/** Elements of data that are not bit for bit the reduction. O: operands of an element type, L: its arithmetic. */
export function checkReduced<O, L>(
  data: usize,
  op: u32,
  nranks: u32,
  first_rank: u32,
  ranks: u32,
  seed: u32,
  first_index: u32,
  count: u32,
): u32 {
  const operands = changetype<O>(0);
  const range = operands.range(op, nranks);
  const elements = operands.elements();
  let wrong: u32 = 0;
  for (let i: u32 = 0; i < count; i += elements) {
    const index = first_index + i;
    let wanted = operands.block(index, op, nranks, first_rank, seed, range);
    for (let rank = first_rank + 1; rank < first_rank + ranks; rank++) {
      wanted = reduced<L>(op, wanted, operands.block(index, op, nranks, rank, seed, range));
    }
    if (op === AVG) wanted = changetype<L>(0).average(wanted, ranks);
    const present = min(count - i, elements);
    const found = loadPart(data, present * (16 / elements));
    wrong += popcnt(operands.differences(wanted, found) & ((1 << present) - 1));
    data += 16;
  }
  return wrong;
}
