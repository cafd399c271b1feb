/** What every `Transport` promises, as a suite that each provider applies. */
import { describe } from 'vitest';
import { describeEndings } from './transport-endings.ts';
import { describeQuiesce } from './transport-quiesce.ts';
import { describeTraffic } from './transport-traffic.ts';
import { type TransportSetup, transportWorlds } from './transport-world.ts';

/** Applies the suite to a provider. */
export function describeTransport(name: string, setup: TransportSetup): void {
  describe(`transport conformance: ${name}`, () => {
    const worlds = transportWorlds(setup);
    describeTraffic(worlds);
    describeEndings(worlds);
    describeQuiesce(worlds);
  });
}
