export { migrate, type MigrateOptions, type MigratingStore } from './migrate.ts'
