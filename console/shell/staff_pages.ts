/** The pages for admins and managers, loaded together: they share most of their code. */
import { MigrationPage } from "../pages/migration/page.tsx";
import { SystemPage } from "../pages/system/page.tsx";

export const staffPages = { system: SystemPage, migration: MigrationPage };
