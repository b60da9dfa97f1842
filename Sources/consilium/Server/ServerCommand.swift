import ArgumentParser

/// `consilium server`: everything of the admin.
struct ServerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server", abstract: "Coordinate a federation: the admin's commands, and the cron tick.",
        discussion: """
            Approving and rejecting are file moves: requests/PENDING.txt has the exact lines. 'server approve' and \
            'server reject' do the same moves.
            """,
        subcommands: [
            ServerInitCommand.self, ServerInviteCommand.self, ServerRunCommand.self, ServerRequestsCommand.self,
            ServerApproveCommand.self, ServerRejectCommand.self, ServerSessionsCommand.self, ServerDropCommand.self,
            ServerReadmitCommand.self, ServerRevokeCommand.self, ServerReissueCommand.self, ServerExtendCommand.self,
            ServerAbortCommand.self,
            ServerHistoryCommand.self, ServerVersionsCommand.self, ServerVersionCommand.self, ServerExportCommand.self,
            ServerStatsCommand.self, ServerPruneCommand.self, ServerVerifyCommand.self, ServerAuditCommand.self,
        ])
}
