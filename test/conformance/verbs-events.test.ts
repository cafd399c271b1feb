/** Verbs conformance: asynchronous events (ibv_get_async_event(3)) and completion events. */
import { describe, expect, it } from 'vitest';
import {
  ASYNC_EVENTS_MAX,
  ibv_ack_async_event,
  ibv_events_acknowledged,
  ibv_get_async_event,
} from '../../node/verbs/async-events.ts';
import { ibv_close_device, ibv_open_device } from '../../node/verbs/context.ts';
import { ibv_create_cq, ibv_destroy_cq, ibv_req_notify_cq } from '../../node/verbs/cq.ts';
import { ibv_destroy_qp, ibv_post_send } from '../../node/verbs/qp.ts';
import { must } from '../node/verbs/world.ts';
import { EVERY_RIGHT, eventNames, joined, outcomes, request, sideIn } from './verbs-steps.ts';
import { VERBS_PROVIDERS, verbsWorlds } from './verbs-world.ts';

describe.each(VERBS_PROVIDERS)('verbs conformance, events: $name', (provider) => {
  const open = verbsWorlds(provider);

  /** A violation at b, which raises IBV_EVENT_QP_ACCESS_ERR there. */
  async function violated() {
    const world = await open();
    const [a, b] = await joined(world);
    const { mr } = await world.a.region(4096, EVERY_RIGHT);
    must(ibv_post_send(a.qp, request('IBV_WR_RDMA_WRITE', mr, { addr: 0, rkey: 1 })));
    await world.until(() => a.completions.length === 1);
    return { world, a, b, context: world.b.context };
  }

  it('an event names its object, and is handed out once', async () => {
    const { world, b, context } = await violated();
    const event = await world.settle(ibv_get_async_event(context, 1000));
    expect(event).toMatchObject({ event_type: 'IBV_EVENT_QP_ACCESS_ERR' });
    if (typeof event === 'string') throw new Error(event);
    expect(event.element).toBe(b.qp);
    expect(await ibv_get_async_event(context, 0)).toBe('EAGAIN');
    ibv_ack_async_event(context, event);
    expect(() => ibv_ack_async_event(context, event)).toThrow('not acknowledged');
  });

  it('a reader waits for an event, for its time and no longer', async () => {
    const { a: host, settle } = await open().then((world) => ({
      a: world.a,
      settle: <T>(promise: Promise<T>) => world.settle(promise),
    }));
    expect(await settle(ibv_get_async_event(host.context, 3))).toBe('EAGAIN');
    const waiting = ibv_get_async_event(host.context, 10_000);
    host.nic.setPortState('IBV_PORT_DOWN');
    expect(await settle(waiting)).toMatchObject({ event_type: 'IBV_EVENT_PORT_ERR' });
  });

  it('EIO: the device is closed while a reader waits, and afterwards', async () => {
    const { a } = await open();
    const context = ibv_open_device(a.nic, a.process);
    const waiting = ibv_get_async_event(context, 10_000);
    ibv_close_device(context);
    expect(await waiting).toBe('EIO');
    expect(await ibv_get_async_event(context, 0)).toBe('EIO');
  });

  it('the end of an object waits for its events to be acknowledged, and for no others', async () => {
    const { world, b, context } = await violated();
    const other = sideIn(world.b, 'IBV_QPS_INIT');
    const event = must(await world.settle(ibv_get_async_event(context, 1000)));
    let ended = false;
    ibv_destroy_qp(b.qp);
    const done = ibv_events_acknowledged(context, b.qp).then(() => {
      ended = true;
    });
    ibv_destroy_qp(other.qp);
    await ibv_events_acknowledged(context, other.qp);
    await world.wait(3);
    expect(ended).toBe(false);
    ibv_ack_async_event(context, event);
    await done;
    expect(ended).toBe(true);
  });

  it('events that nobody has taken go with their object', async () => {
    const { world, b } = await violated();
    ibv_destroy_qp(b.qp);
    await ibv_events_acknowledged(world.b.context, b.qp);
    expect(eventNames(world.b)).toEqual([]);
  });

  it('events beyond the bound are dropped and counted', async () => {
    const { a } = await open();
    for (let count = 0; count < ASYNC_EVENTS_MAX / 2 + 1; count++) {
      a.nic.setPortState('IBV_PORT_DOWN');
      a.nic.setPortState('IBV_PORT_ACTIVE');
    }
    expect(a.context.asyncEvents.lost).toBe(2);
    expect(eventNames(a).length).toBe(ASYNC_EVENTS_MAX);
  });

  it('a port that goes down loses frames; when it is up again they are sent again', async () => {
    const world = await open();
    const [a] = await joined(world, { attributes: { timeout: 15 } });
    const source = await world.a.region(4096, EVERY_RIGHT);
    const target = await world.b.region(4096, EVERY_RIGHT);
    const write = request('IBV_WR_RDMA_WRITE', source.mr, target.mr);
    must(ibv_post_send(a.qp, write));
    await world.until(() => a.completions.length === 1);
    world.b.nic.setPortState('IBV_PORT_DOWN');
    must(ibv_post_send(a.qp, write));
    await world.wait(5);
    expect(outcomes(a).length).toBe(1);
    world.b.nic.setPortState('IBV_PORT_ACTIVE');
    await world.until(() => a.completions.length === 2);
    expect(outcomes(a)).toEqual(['IBV_WC_SUCCESS', 'IBV_WC_SUCCESS']);
    expect(eventNames(world.b)).toEqual(['IBV_EVENT_PORT_ERR', 'IBV_EVENT_PORT_ACTIVE']);
    expect(eventNames(world.a)).toEqual([]);
  });

  it('a device that fails: DEVICE_FATAL to every context, everything is flushed', async () => {
    const world = await open();
    const [a] = await joined(world);
    const second = ibv_open_device(world.a.nic, world.a.process);
    const { mr } = await world.a.region(4096);
    must(ibv_post_send(a.qp, request('IBV_WR_SEND', mr, undefined)));
    world.a.nic.fail();
    await world.until(() => a.completions.length === 1);
    expect(outcomes(a)).toEqual(['IBV_WC_WR_FLUSH_ERR']);
    expect(a.qp.state).toBe('IBV_QPS_ERR');
    expect(eventNames(world.a)).toEqual(['IBV_EVENT_DEVICE_FATAL']);
    expect(second.asyncEvents.take()).toMatchObject({ event_type: 'IBV_EVENT_DEVICE_FATAL' });
  });

  it('completion events: one per arming, for a completion that comes after it', async () => {
    const world = await open();
    let told = 0;
    const cq = must(
      ibv_create_cq(
        world.a.context,
        16,
        () => {
          told++;
        },
        'armed',
      ),
    );
    const side = sideIn(world.a, 'IBV_QPS_ERR', { cq });
    const { mr } = await world.a.region(4096);
    const complete = async () => {
      must(ibv_post_send(side.qp, request('IBV_WR_SEND', mr, undefined)));
      await world.wait(2);
    };
    await complete();
    expect(told).toBe(0);
    ibv_req_notify_cq(cq);
    await world.wait(2);
    expect(told).toBe(0);
    await complete();
    await complete();
    expect(told).toBe(1);
    ibv_req_notify_cq(cq);
    ibv_req_notify_cq(cq);
    await complete();
    expect(told).toBe(2);
    ibv_destroy_qp(side.qp);
    expect(ibv_destroy_cq(cq)).toBeUndefined();
  });
});
