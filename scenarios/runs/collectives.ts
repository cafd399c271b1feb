/** R16, R18: what collectives must not forget. */
import { EVERY_POLICY, type Scenario } from '../scenario.ts';

export const retriedPost: Scenario = {
  id: 'R16',
  name: 'retried-post',
  title: 'a post inside of a collective is turned away with FI_EAGAIN',
  question: 'Is it tried again, or does the collective hang?',
  risk: 'a collective that hangs because one post was turned away',
  source: 'libfabric prov/coll: a receive that got EAGAIN was not put back',
  hosts: 2,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    const floats = 1024 * 1024;
    const results = await stage.collective(
      'all hosts post 8 all-reduces of 4 MiB one behind the other',
      { name: 'retried', calls: 8, floats },
    );
    const retries = results.reduce((sum, { counters }) => sum + counters.postsTurnedAway, 0);
    const wrong = results.reduce((sum, one) => sum + one.wrong, 0);
    await stage.verdict(
      wrong === 0 && retries > 0,
      `${retries} posts were turned away and tried again; every sum is right.`,
    );
  },
};

export const flush: Scenario = {
  id: 'R18',
  name: 'flush',
  title: 'a completion is seen before the memory of the device has the bytes',
  question: 'Who makes sure that a kernel reads what has arrived?',
  risk: 'a sum of bytes that had not arrived yet',
  source: 'HCL hl_ofi_rdm_component.cpp: a 4-byte read after receives, HCL_FABRIC_FLUSH',
  hosts: 2,
  devices: 1,
  ownership: 'owner',
  policies: EVERY_POLICY,
  async run(stage) {
    await stage.remark(
      'HCL_FABRIC_FLUSH=1: as on hardware, although memory of this simulator is coherent.',
    );
    const results = await stage.collective('all hosts run 4 all-reduces of 256 KiB', {
      name: 'flushed',
      calls: 4,
      floats: 65_536,
    });
    const flushes = results.map(({ counters }) => counters.flushes);
    const wrong = results.reduce((sum, one) => sum + one.wrong, 0);
    await stage.verdict(
      wrong === 0 && flushes.every((count) => count > 0),
      `Each rank read its own device memory back before it used what had come (${flushes.join(' and ')} times); every sum is right.`,
    );
  },
};
