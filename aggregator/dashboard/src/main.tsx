// The pages' first file: what must be set first, the styles in their order, the theme, and who is signed in.
import './parsing.ts';
import '@mantine/core/styles/baseline.css';
import '@mantine/core/styles/global.css';
import '@mantine/core/styles/UnstyledButton.css';
import '@mantine/core/styles/ActionIcon.css';
import '@mantine/core/styles/Button.css';
import '@mantine/core/styles/Input.css';
import '@mantine/core/styles/PasswordInput.css';
import '@mantine/core/styles/Loader.css';
import '@mantine/core/styles/Skeleton.css';
import '@mantine/core/styles/Tabs.css';
import './page.css';
import { MantineProvider } from '@mantine/core';
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Console } from './pages/console.tsx';
import { SignInPage } from './pages/sign-in.tsx';
import { forgetToken, storeToken, storedToken } from './session.ts';
import { theme } from './theme.ts';

function Dashboard() {
  const [token, setToken] = useState(storedToken);
  const [notice, setNotice] = useState<string | null>(null);
  if (token === null)
    return (
      <SignInPage
        notice={notice}
        onSignedIn={(accepted) => {
          storeToken(accepted);
          setNotice(null);
          setToken(accepted);
        }}
      />
    );
  return (
    <Console
      key={token}
      token={token}
      onSignedOut={(why) => {
        forgetToken();
        setNotice(why);
        setToken(null);
      }}
    />
  );
}

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

// Variables and global classes are in the style sheet already (vite.config.ts); a style tag would break the security policy.
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <Dashboard />
    </MantineProvider>
  </StrictMode>,
);
