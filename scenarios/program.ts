/**
 * A scenario as a job (`builtin:scenario`): the program of host 0 directs, those of other hosts serve
 * its orders. Ordinary user programs, with the rights of an administrator.
 */
import * as hlsim from 'hlsim';
import { z } from 'zod';
import { defined } from '../common/assert.ts';
import { OWNERSHIP_POLICIES } from '../node/device/ownership.ts';
import { findScenario } from './catalog.ts';
import { RemoteStagehand, serveOrders } from './remote-stagehand.ts';
import { Stage } from './stage.ts';
import { LocalStagehand, type Stagehand } from './stagehand.ts';

const options = z
  .strictObject({ name: z.string(), ownership: z.enum(OWNERSHIP_POLICIES) })
  .parse(JSON.parse(process.argv[2] ?? ''));
const { rank, worldSize, localWorldSize, localRank } = hlsim.rankEnvironment();
const host = Math.floor(rank / localWorldSize);
const here = new LocalStagehand(host);

if (localRank > 0) {
  // The second device of a host has a rank of its own, and nothing to do.
} else if (host > 0) {
  await serveOrders(host, here);
} else {
  const others = Array.from(
    { length: worldSize / localWorldSize - 1 },
    (_, index) => new RemoteStagehand(index + 1),
  );
  const stagehands: readonly Stagehand[] = [here, ...others];
  const stage = new Stage({
    ownership: options.ownership,
    stagehands,
    report: async (report) => {
      await hlsim.reportResult({ ...report });
    },
  });
  try {
    await defined(findScenario(options.name), 'a scenario of this name').run(stage);
  } finally {
    for (const stagehand of stagehands) await stagehand.end();
  }
}
