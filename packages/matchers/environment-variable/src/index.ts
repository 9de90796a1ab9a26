export { environmentVariableInput } from './environment-variable-input.ts';
