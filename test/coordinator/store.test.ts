import { describe, expect, it } from 'vitest';
import type { Step } from '../../coordinator/effect.ts';
import {
  STORE_KEYS_MAX,
  STORE_VALUE_LENGTH_MAX,
  STORE_WAITERS_MAX,
  type Store,
  type StoreEvent,
  startStore,
  stepStore,
} from '../../coordinator/store.ts';

function fill(count: number, event: (index: number) => StoreEvent): Step<Store> {
  let step: Step<Store> = { state: startStore('j'), effects: [] };
  for (let index = 0; index < count; index++) step = stepStore(step.state, event(index));
  return step;
}

describe('store', () => {
  it('answers every getter that waited for a key, each once', () => {
    const waiting = fill(3, (requestId) => ({ type: 'get', peer: 'a', key: 'k', requestId }));
    const set = stepStore(waiting.state, { type: 'set', key: 'k', value: 'v' });
    expect(set.effects).toHaveLength(3);
    expect(stepStore(set.state, { type: 'set', key: 'k', value: 'w' }).effects).toEqual([]);
  });

  it('ends the job of a program that sets too many keys, but lets it set old ones again', () => {
    const full = fill(STORE_KEYS_MAX, (index) => ({ type: 'set', key: `k${index}`, value: '' }));
    expect(full.effects).toEqual([]);
    const again = stepStore(full.state, { type: 'set', key: 'k0', value: 'new' });
    expect(again.effects).toEqual([]);
    const over = stepStore(full.state, { type: 'set', key: 'other', value: '' });
    expect(over.effects).toMatchObject([{ type: 'failJob' }]);
  });

  it('ends the job of a program that sets too long a value', () => {
    const value = 'x'.repeat(STORE_VALUE_LENGTH_MAX);
    const state = startStore('j');
    expect(stepStore(state, { type: 'set', key: 'k', value }).effects).toEqual([]);
    const over = stepStore(state, { type: 'set', key: 'k', value: `${value}x` });
    expect(over.effects).toMatchObject([{ type: 'failJob' }]);
  });

  it('ends the job of a program that reads too many keys nobody sets', () => {
    const get = (requestId: number): StoreEvent => ({
      type: 'get',
      peer: 'a',
      key: 'k',
      requestId,
    });
    const full = fill(STORE_WAITERS_MAX, get);
    expect(full.effects).toEqual([]);
    expect(stepStore(full.state, get(0)).effects).toMatchObject([{ type: 'failJob' }]);
  });
});
