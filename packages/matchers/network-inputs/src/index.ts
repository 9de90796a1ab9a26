export {
  destinationIpInput,
  destinationPortInput,
  directSourceIpInput,
  sourceIpInput,
  sourcePortInput,
  sourceTypeInput,
} from './address-inputs.ts';
export { filterStateInput } from './filter-state-input.ts';
export { applicationProtocolInput, serverNameInput, transportProtocolInput } from './protocol-inputs.ts';
