"""The static leaderboard: results and facts -> pages that work from any folder, without a server or a network."""
