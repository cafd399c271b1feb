/** The second process: it has the other end of every pair, and does as it is told. */
import process from 'node:process';
import { defined } from '../../common/assert.ts';
import { wallScheduler } from '../../common/scheduler.ts';
import { type Contestant, createEnd, RUN_BYTES } from './contestants.ts';
import type { End, Introduction, SocketKind } from './end.ts';

export type Order =
  | {
      readonly order: 'open';
      readonly contestant: Contestant;
      readonly kind: SocketKind;
      readonly introduction: Introduction;
    }
  | { readonly order: 'meet'; readonly introduction: Introduction }
  | { readonly order: 'send' }
  | { readonly order: 'close' };

/** What an order is answered with, when it is done. */
export type Answer = { readonly introduction?: Introduction };

let end: End | undefined;

async function obey(order: Order): Promise<Answer> {
  switch (order.order) {
    case 'open': {
      const { contestant, kind } = order;
      const init = { kind, scheduler: wallScheduler, runBytes: RUN_BYTES, name: contestant };
      end = await createEnd(contestant, init);
      const { introduction } = end;
      void end.meet(order.introduction);
      return { introduction };
    }
    case 'meet':
      return {};
    case 'send':
      await defined(end, 'an open end').send();
      return {};
    case 'close':
      await defined(end, 'an open end').close();
      return {};
  }
}

process.on('message', (order: Order) => {
  void obey(order).then((answer) => process.send?.(answer));
});
