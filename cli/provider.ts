/** `--provider`: by which of libfabric's providers a job moves its bytes. */
import { PROVIDER_VARIABLE, PROVIDERS, type ProviderChoice } from '../node/hccl/settings.ts';
import { optional } from './flags.ts';
import { oneOf } from './readers.ts';

export const providerFlag = optional({
  name: 'provider',
  value: '<name>',
  description: `ws: over links; p2p: through memory shared by hosts of one machine; auto: the best there is (${PROVIDERS.join(', ')})`,
  reader: oneOf(PROVIDERS),
  environment: PROVIDER_VARIABLE,
});

/** The variable that says so to every rank. */
export function providerEnvironment({
  provider,
}: {
  readonly provider: ProviderChoice | undefined;
}): Record<string, string> {
  return provider === undefined ? {} : { [PROVIDER_VARIABLE]: provider };
}
