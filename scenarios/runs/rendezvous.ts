/** R15: a message that is announced and never handed over. */
import { EVERY_POLICY, type Scenario } from '../scenario.ts';
import { must } from './connection.ts';

/** Far above what travels eagerly. */
const BYTES = 1024 * 1024;

export const peerExits: Scenario = {
  id: 'R15',
  name: 'peer-exits',
  title: 'the sender of a large message dies between its announcement and the read of it',
  question: 'Does the receiver wait for ever?',
  risk: 'a receive that waits for ever, or completes with bytes that never came',
  source: 'libfabric fabtests prov/efa, peer exits in the middle of a rendezvous',
  hosts: 2,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const a = await stage.actor('A');
    const c = await stage.actor('C', { host: 1 });
    const receiver = await must(a.quietly('openFabric'));
    const sender = await must(c.quietly('openFabric'));
    await a.needs('expects messages of C', 'fabricExpect', receiver, sender.name);
    await c.needs(
      'sends 1 MiB: the announcement goes out, the bytes stay',
      'fabricSend',
      sender,
      receiver.name,
      BYTES,
    );
    await a.quietly('sleep', 200);
    await c.isKilled();
    await stage.remark(
      'The host of C lives, but nobody there answers the read: A tries for 17 seconds.',
    );
    const ending = await a.needs('posts the receive only now', 'fabricReceive', receiver, BYTES);
    const left = await a.needs('looks for more completions', 'fabricLeft', receiver);
    await stage.verdict(
      ending.startsWith('error ') && left === 'FI_EAGAIN',
      `The receive ended exactly once, with ${ending}; not a byte of it was made up.`,
    );
  },
};
