export { earlyHeaderMutation } from './early-header-mutation.ts';
